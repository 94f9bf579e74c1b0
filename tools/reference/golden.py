"""Writes the golden vectors that the tests compare every implementation with, from mwt_torch.py and fixed seeds.

    python tools/reference/golden.py write target/golden               # all: 25 MB, a few seconds
    python tools/reference/golden.py write target/golden nano micro    # these alone
    python tools/reference/golden.py compare target/golden other       # the largest difference of each file's tensors
    python tools/reference/trim.py target/golden                       # cuts them down to tests/fixtures

For each configuration the folder gets NAME.weights, NAME.inputs and NAME.expect (safetensors) and NAME.pt, a checkpoint
in the layout of the public reference implementation; NAME_step3.pt is one after three outer steps, with its optimiser's
state. manifest.json explains the keys and says how far float32 and float64 are apart. The tests that need the full
set run with `MWT_GOLDEN_DIR=$PWD/target/golden cargo test -p mwt-tests`.

The same float32 weights, images and coordinates are used in float64 (the truth) and in float32. Weights and inputs are
the same wherever torch 2 draws the same random numbers; expected values may differ in their last bits from one machine
to another.

Needs torch and safetensors, on the CPU (tools/requirements.txt).
"""

import argparse
import dataclasses
import hashlib
import json
from pathlib import Path

import torch
import torch.nn as nn
from safetensors.torch import load_file, save_file

import mwt_torch as M

SEED = 20250  # weights; images are drawn from the next seed, outer step s's pixels from SEED + 2 + s
LABELS = [3, 1, 4, 9]
OUTER_STEPS = 3
TOTAL = 60  # outer steps of the one-cycle schedule
FULL = ('nano', 'micro', 'line', 'cube')  # with gradients, outer steps and all intermediate values
LAYOUT = {
    '*.weights': "siren_rgb.*, meta_sgd.*, classifier.* (the reference's state dicts, the checkpoint's key as prefix)",
    '*.inputs': 'images [4, C, H, W] in [-1, 1]; coords [H*W, E] = (y, x) of an image; indices int32 [outer step, k+1, 4, P]: row '
    'k is for the outer reconstruction loss; labels [4]',
    '*.expect': '{f64,f32}.<key>: loss_per_step [k, 4] (before update j), offset.j = phi - theta after j updates '
    '[4, |theta|], phi.j, tokens [4, T, D+1] (= (offset + beta) * lambda), act.* (after project_in, each '
    'residual branch, mean), logits, cls_loss, recon_loss [4] (fresh pixels), psnr_sampled, psnr_all, '
    'psnr_all_step0 (phi = theta), recon_all [4, H*W, C]; grad.<parameter> combined (0.01*cls + recon for '
    'siren_rgb and meta_sgd, cls for classifier; before clipping), grad_cls. and grad_recon. its parts '
    '(unscaled); after_outer_step.{1,3}.<parameter>: after clipping each group to norm 1 and AdamW (weight '
    'decay 1e-4) with a one-cycle schedule of 60 steps',
}


def inputs(cfg):
    """Images, coordinates, pixel indices and labels of one configuration."""
    steps = OUTER_STEPS if cfg.name in FULL else 1
    indices = torch.stack([M.sample_indices(cfg, len(LABELS), cfg.k + 1, SEED + 2 + s) for s in range(steps)])
    return dict(
        images=M.smooth_images(cfg, len(LABELS), SEED + 1),
        coords=M.grid(cfg),
        indices=indices.to(torch.int32).contiguous(),
        labels=torch.tensor(LABELS),
    )


def expect(cfg, weights, given, dtype):
    """Expected values in one precision, and losses and gradient norms of each outer step."""
    full = cfg.name in FULL
    images, coords = given['images'].to(dtype), given['coords'].to(dtype)
    indices, labels = given['indices'].long(), given['labels']
    P = {n: t.to(dtype, copy=True).requires_grad_(True) for n, t in weights.items()}
    out, trace, act = {}, [], {}
    losses = M.forward_losses(P, images, labels, indices[0], coords, cfg, 'autograd', trace=trace, act_trace=act)
    out['loss_per_step'] = torch.stack([loss for loss, _ in trace[:-1]])
    theta = torch.cat([t.detach().flatten() for t in M.theta_list(P, cfg)])
    for j, (_, offset) in enumerate(trace):
        if j == cfg.k or (full and j):
            out[f'offset.{j}'] = offset
        if full and j:
            out[f'phi.{j}'] = theta + offset
    out.update({f'act.{n}': t for n, t in act.items() if full or n == 'pooled'})
    out.update(
        tokens=losses['tokens'],
        logits=losses['logits'],
        cls_loss=losses['cls'],
        recon_loss=losses['recon_per_image'],
        psnr_sampled=losses['psnr'],
    )
    with torch.no_grad():
        everywhere, target = coords.expand(len(labels), -1, -1), images.flatten(2).transpose(1, 2)
        phi = [t + o for t, o in zip(M.theta_list(P, cfg), losses['offs'])]
        out['recon_all'] = M.siren(P, phi, everywhere, cfg)
        out['psnr_all'] = M.psnr(out['recon_all'], target)
        start = [t.expand(len(labels), *t.shape) for t in M.theta_list(P, cfg)]
        out['psnr_all_step0'] = M.psnr(M.siren(P, start, everywhere, cfg), target)
    trajectory = []
    if full:
        outer = M.Outer(P, TOTAL)
        for s in range(OUTER_STEPS):
            grads, losses, cls, recon = M.outer_grads(P, images, labels, indices[s], coords, cfg)
            if s == 0:
                out.update({f'grad.{n}': t for n, t in grads.items()})
                out.update({f'grad_cls.{n}': cls[n] for n in recon})
                out.update({f'grad_recon.{n}': t for n, t in recon.items()})
            norms = outer.step(P, grads)
            trajectory.append(
                dict(
                    cls_loss=float(losses['cls'].detach()),
                    recon_loss=float(losses['recon'].detach()),
                    group_norms_before_clip=norms,
                )
            )
            if s + 1 in (1, 3):
                out.update({f'after_outer_step.{s + 1}.{n}': t.detach().clone() for n, t in P.items()})
    return {n: t.detach().contiguous() for n, t in out.items()}, trajectory


def checkpoint(cfg, weights, given, steps, path):
    """A checkpoint in the reference's layout after some outer steps of torch's own AdamW and OneCycleLR."""
    modules = {}
    for name, value in weights.items():
        key, *path_, leaf = name.split('.')
        module = modules.setdefault(key, nn.Module())
        for part in path_:
            if part not in module._modules:
                module.add_module(part, nn.Module())
            module = module._modules[part]
        module.register_parameter(leaf, nn.Parameter(value.clone()))
    P = {f'{key}.{n}': p for key in modules for n, p in modules[key].named_parameters()}
    P = {n: P[n] for n in M.param_shapes(cfg)}
    groups = [dict(params=[p for n, p in P.items() if M.group_of(n) == g], lr=M.Outer.MAX_LR[g]) for g in range(3)]
    opt = torch.optim.AdamW(groups, weight_decay=1e-4)
    sched = torch.optim.lr_scheduler.OneCycleLR(opt, max_lr=list(M.Outer.MAX_LR), total_steps=TOTAL, pct_start=0.05)
    for s in range(steps):
        grads, *_ = M.outer_grads(P, given['images'], given['labels'], given['indices'][s].long(), given['coords'], cfg)
        for n, p in P.items():
            p.grad = grads[n]
        for group in opt.param_groups:
            nn.utils.clip_grad_norm_(group['params'], 1.0)
        opt.step()
        sched.step()
    states = {key: modules[key].state_dict() for key in ('siren_rgb', 'classifier', 'meta_sgd')}
    torch.save(
        dict(
            states,
            opts=[opt.state_dict()],
            scheds=[sched.state_dict()],
            global_i=steps,
            scaler=torch.amp.GradScaler('cpu').state_dict(),
        ),
        path,
    )


def distance(a, b):
    """The largest difference, and as a share of the second's largest value."""
    most = float((a.double() - b.double()).abs().max())
    return dict(max_abs=most, rel_to_max=most / max(float(b.abs().max()), 1e-300))


def write(folder, names):
    """The golden vectors of these configurations, and a manifest of all that the folder holds."""
    torch.set_num_threads(1)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / 'manifest.json'
    manifest = json.loads(path.read_text()) if path.exists() else {}
    manifest.update(
        seed=SEED,
        torch=torch.__version__,
        layout=LAYOUT,
        dtype_note='weights, images and coordinates are float32; the float64 run widens these same values',
        flat_order='each layer\'s W [in, out] row by row, then its b [out]; layer 0 is 2 -> D, then L of D -> D',
        one_cycle={f'total={TOTAL},max_lr=0.01': [M.one_cycle(n, TOTAL, 1e-2) for n in range(TOTAL)]},
    )
    for name in names:
        cfg = M.CONFIGS[name]
        weights, given = M.init_params(cfg, SEED, perturb=True), inputs(cfg)
        save_file(weights, folder / f'{name}.weights.safetensors')
        save_file(given, folder / f'{name}.inputs.safetensors')
        f64, trajectory = expect(cfg, weights, given, torch.float64)
        f32, trajectory_f32 = expect(cfg, weights, given, torch.float32)
        save_file(
            {f'{kind}.{n}': t for kind, part in (('f64', f64), ('f32', f32)) for n, t in part.items()},
            folder / f'{name}.expect.safetensors',
        )
        if name in ('micro', 'base'):
            checkpoint(cfg, weights, given, 0, folder / f'{name}.pt')
        if name in ('nano', 'micro'):
            checkpoint(cfg, weights, given, OUTER_STEPS, folder / f'{name}_step3.pt')
        keys = ('loss_per_step', f'offset.{cfg.k}', 'tokens', 'logits', 'psnr_all')
        apart = {n: distance(f32[n], f64[n]) for n in keys}
        grads = [n for n in f64 if n.startswith('grad.')]
        if grads:
            apart['grad_worst_rel_to_max'] = max(distance(f32[n], f64[n])['rel_to_max'] for n in grads)
        manifest.setdefault('optimiser_param_order', {})[name] = list(M.param_shapes(cfg))
        manifest.setdefault('configs', {})[name] = dict(
            config=dataclasses.asdict(cfg),
            labels=LABELS,
            f32_vs_f64=apart,
            trajectory_f64=trajectory,
            trajectory_f32=trajectory_f32,
            logits=f64['logits'].tolist(),
            argmax=f64['logits'].argmax(1).tolist(),
        )
        print(
            f'{name}: float32 from float64',
            {n: v['rel_to_max'] if isinstance(v, dict) else v for n, v in apart.items()},
        )
    manifest['files'] = {
        f.name: dict(bytes=f.stat().st_size, sha256=hashlib.sha256(f.read_bytes()).hexdigest())
        for f in sorted(folder.iterdir())
        if f.suffix in ('.safetensors', '.pt')
    }
    path.write_text(json.dumps(manifest, indent=1) + '\n')


def flat(value, at=''):
    """The tensors of a nested checkpoint, by their path."""
    if torch.is_tensor(value):
        return {at: value}
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, (list, tuple)) else ()
    return {n: t for key, inner in pairs for n, t in flat(inner, f'{at}/{key}').items()}


def compare(a, b):
    """For each file of both folders, the tensor that differs most; False where names, shapes or types differ."""
    same = True
    for path in sorted(f for f in a.iterdir() if f.suffix in ('.safetensors', '.pt') and (b / f.name).exists()):
        read = load_file if path.suffix == '.safetensors' else lambda p: flat(torch.load(p, weights_only=True))
        x, y = read(path), read(b / path.name)
        kind = lambda t: (tuple(t.shape), t.dtype)
        odd = sorted(set(x) ^ set(y)) + [n for n in x if n in y and kind(x[n]) != kind(y[n])]
        worst, name = max((distance(x[n], y[n])['max_abs'], n) for n in x if n not in odd)
        rel = max(distance(x[n], y[n])['rel_to_max'] for n in x if n not in odd)
        print(
            f'{path.name}: {len(x)} tensors, largest difference {worst:.2e} ({name}),'
            f' {rel:.2e} of a tensor\'s largest value' + (f'; names or shapes differ: {odd}' if odd else '')
        )
        same &= not odd
    return same


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest='command', required=True)
    p = commands.add_parser('write')
    p.add_argument('folder', type=Path)
    p.add_argument('names', nargs='*', default=['nano', 'micro', 'base', 'line', 'cube'])
    p = commands.add_parser('compare')
    p.add_argument('a', type=Path)
    p.add_argument('b', type=Path)
    args = parser.parse_args()
    if args.command == 'write':
        write(args.folder, args.names)
    else:
        raise SystemExit(not compare(args.a, args.b))
