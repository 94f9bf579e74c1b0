"""What rounding the inputs of the matrix products to TF32 does, against the golden vectors, emulated on the CPU.

    python tools/precision/tf32_emulation.py nano micro                     # vectors of tests/fixtures
    python tools/precision/tf32_emulation.py --golden target/golden nano micro base    # golden.py's full set

For each configuration and for f32, TF32 (rounded to nearest) and TF32 (truncated): the largest difference of offsets,
tokens, logits and losses, the four gradients that are off most (as a share of their largest value), and for `nano` how
many values are beyond the tests' tolerance after one and three outer steps.

Needs torch and safetensors (tools/requirements.txt).
"""

import sys, torch, torch.nn.functional as F
import os

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..')
sys.path.insert(0, os.path.join(ROOT, 'tools', 'reference'))
import mwt_torch as M
from safetensors.torch import load_file

torch.set_num_threads(1)
MODE = 'tf32'


def rnd(x):
    if MODE == 'f32':
        return x
    i = x.contiguous().view(torch.int32)
    if MODE == 'tf32':  # round to nearest (ties away), 10 mantissa bits
        i = (i + 0x1000) & ~0x1FFF
    elif MODE == 'trunc':
        i = i & ~0x1FFF
    elif MODE == 'bf16':
        return x.bfloat16().float()
    return i.view(torch.float32)


class MM(torch.autograd.Function):
    @staticmethod
    def forward(ctx, a, b):
        ctx.save_for_backward(a, b)
        return torch.matmul(rnd(a), rnd(b))

    @staticmethod
    def backward(ctx, g):
        a, b = ctx.saved_tensors
        ga = torch.matmul(rnd(g), rnd(b.transpose(-1, -2)))
        gb = torch.matmul(rnd(a.transpose(-1, -2)), rnd(g))
        while ga.dim() > a.dim():
            ga = ga.sum(0)
        while gb.dim() > b.dim():
            gb = gb.sum(0)
        return ga, gb


mm = MM.apply


def lin(x, w, b=None):
    s = x.shape
    y = mm(x.reshape(-1, s[-1]), w.t()).reshape(*s[:-1], w.shape[0])
    return y if b is None else y + b


class FF:  # functional with replaced linear
    def __getattr__(self, n):
        return getattr(F, n)

    linear = staticmethod(lin)


M.F = FF()
_bad = torch.baddbmm


def bad(b, h, w):
    return mm(h, w) + b


M.torch_baddbmm = bad
torch.baddbmm = bad
torch.Tensor.__matmul__ = lambda a, b: mm(a, b)


def run(name, mode, fx):
    global MODE
    MODE = mode
    cfg = M.CONFIGS[name]
    W = load_file(f'{fx}/{name}.weights.safetensors')
    I = load_file(f'{fx}/{name}.inputs.safetensors')
    E = load_file(f'{fx}/{name}.expect.safetensors')
    # The full set holds both precisions, the fixtures the float64 run's values under plain names.
    E = {k.removeprefix('f64.'): v.float() for k, v in E.items() if not k.startswith('f32.')}
    P = {n: W[n].clone().requires_grad_(True) for n in M.param_shapes(cfg)}
    idx = I['indices'].long()
    lab = I['labels'].long()
    coords = I['coords']
    g, out, _, _ = M.outer_grads(P, I['images'], lab, idx[0], coords, cfg, 'closed', 'einsum', True)
    off = torch.cat([o.flatten(1) for o in out['offs']], 1)
    r = {}
    d = lambda a, b: (a - b).abs().max().item()
    r['offsets'] = d(off, E[f'offset.{cfg.k}'].reshape(off.shape)) if f'offset.{cfg.k}' in E else None
    r['tokens'] = d(out['tokens'], E['tokens']) if 'tokens' in E else None
    r['logits'] = d(out['logits'], E['logits'])
    r['recon'] = d(out['recon_per_image'], E['recon_loss'])
    r['cls'] = d(out['cls'], E['cls_loss'].reshape(()))
    gr = {
        n: d(g[n], E['grad.' + n].reshape(g[n].shape)) / E['grad.' + n].abs().max().item()
        for n in P
        if 'grad.' + n in E
    }
    top = sorted(gr.items(), key=lambda t: -t[1])[:4]
    r['grad'] = [(n, round(v, 6)) for n, v in top]
    print(name, mode, r, flush=True)
    if name != 'base' and name != 'micro':
        P = {n: W[n].clone() for n in M.param_shapes(cfg)}
        opt = M.Outer(P, 60)
        worst = {}
        for s in range(3):
            Q = {n: t.clone().requires_grad_(True) for n, t in P.items()}
            g, _, _, _ = M.outer_grads(Q, I['images'], lab, idx[s], coords, cfg, 'closed', 'einsum', True)
            opt.step(P, g)
            if s == 1:
                continue
            bad = 0
            tot = 0
            for n in P:
                key = f'after_outer_step.{s + 1}.{n}'
                if key not in E:
                    continue
                peak = 1e-2 if M.group_of(n) == 1 else 1e-4
                rate = sum(M.one_cycle(q, 60, peak)[0] for q in range(s + 1))
                tol = 0.05 * rate + 1e-7
                e = (P[n] - E[key].reshape(P[n].shape)).abs()
                bad += (e > tol).sum().item()
                tot += e.numel()
                w = (e.max() / tol).item()
                worst[(s + 1)] = max(worst.get(s + 1, (0, '')), (round(w, 2), n))
            print('  outer step', s + 1, 'values beyond tolerance', bad, 'of', tot, 'worst/tolerance', worst[s + 1])


if __name__ == '__main__':
    names, fixtures = sys.argv[1:], os.path.join(ROOT, 'tests', 'fixtures')
    if names[:1] == ['--golden']:
        fixtures, names = names[1], names[2:]
    for name in names:
        for mode in ['f32', 'tf32', 'trunc']:
            run(name, mode, fixtures)
