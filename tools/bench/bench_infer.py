"""Latency of one image on the CPU in PyTorch (eager, compiled), JAX and onnxruntime, as in docs/PERFORMANCE.md.

    python tools/bench/bench_infer.py --export-weights         # target/bench/<config>.{weights,inputs}.safetensors
    python tools/bench/bench_infer.py --config base --variants eager_closed_sdpa,compile_closed,jax_jit,ort_closed
    python tools/bench/bench_infer.py --peak                   # what sgemm reaches on this machine

Work timed: pixel indices ready -> gather -> k inner steps, gradients in closed form or by autograd -> tokens -> logits,
for one image; the outer reconstruction loss is not computed. Each variant runs in a process of its own, pinned to one
core when --threads is 1, and prints one line of JSON: times in ms, GFLOP/s, and the largest difference of a logit from
the unoptimised implementation. Weights come from --weights (safetensors, e.g. golden.py's) or from golden.py's seeds.
The files of --export-weights are for `cargo run --release -p mwt-infer --example bench_infer`.

Needs torch, safetensors, numpy; jax for jax_jit; onnx, onnxruntime, onnxscript for ort_closed; a C++ compiler for
compile_closed (tools/requirements.txt).
"""

import argparse, json, os, resource, statistics, subprocess, sys, tempfile, time

VARIANTS = [
    'eager_autograd',
    'eager_autograd_sdpa',
    'eager_closed',
    'eager_closed_sdpa',
    'compile_closed',
    'jax_jit',
    'ort_closed',
]
ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), '../..'))
OUT = os.path.join(ROOT, 'target/bench')
sys.path.insert(0, os.path.join(ROOT, 'tools/reference'))


def load(cfg, path):
    import torch, mwt_torch as M

    if path:
        from safetensors.torch import load_file

        W = load_file(path)
    else:
        W = M.init_params(cfg, 20250, True)
    imgs = M.smooth_images(cfg, 4, 20251)
    idx = M.sample_indices(cfg, 4, cfg.k + 1, 20252)
    return W, imgs, idx, M.pixel_grid(cfg.H, cfg.W)


def torch_closed_module(cfg, W, attn):
    """nn.Module, batch 1, 2-D GEMMs; image [C,H*W] and indices [k,S] -> logits [classes]."""
    import torch, torch.nn as nn, torch.nn.functional as F, mwt_torch as M

    class Net(nn.Module):
        def __init__(s):
            super().__init__()
            s.names = {}
            for n, t in W.items():
                s.register_buffer(n.replace('.', '_'), t.clone())
                s.names[n] = n.replace('.', '_')
            s.register_buffer('coords', M.pixel_grid(cfg.H, cfg.W))
            for j in range(cfg.k):
                for i, a in enumerate(M.split_flat(W[f'meta_sgd.meta_lrs_w.{j}'], cfg)):
                    s.register_buffer(f'al_{j}_{i}', a[0].clone())

        def forward(s, img, idx):
            P = {n: getattr(s, b) for n, b in s.names.items()}
            theta = M.theta_list(P, cfg)
            off = None
            Wo, bo, sc = P['siren_rgb.out.weight'], P['siren_rgb.out.bias'], P['siren_rgb.out_scale']
            head, hb = Wo * sc[:, None], bo * sc
            L = cfg.L
            for j in range(cfg.k):
                h = s.coords[idx[j]]
                t = img.index_select(1, idx[j]).t()
                phi = theta if off is None else [a + b for a, b in zip(theta, off)]
                acts, co = [h], []
                for i in range(L + 1):
                    z = torch.addmm(phi[2 * i + 1], h, phi[2 * i])
                    if i == 0:
                        z = cfg.omega * z
                    h = torch.sin(z)
                    acts.append(h)
                    co.append(torch.cos(z))
                dh = ((torch.addmm(hb, h, head.t()) - t) * (2.0 / (cfg.S * cfg.C))) @ head
                new = [None] * len(theta)
                for i in range(L, -1, -1):
                    dz = dh * co[i]
                    if i == 0:
                        dz = cfg.omega * dz
                    for q, g in ((2 * i, acts[i].t() @ dz), (2 * i + 1, dz.sum(0))):
                        g = getattr(s, f'al_{j}_{q}') * g
                        new[q] = -g if off is None else off[q] - g
                    if i:
                        dh = dz @ phi[2 * i].t()
                off = new
            tok = M.make_tokens(P, [o[None] for o in off], cfg)
            return M.classify(P, tok, cfg, attn)[0]

    return Net().eval()


def build(variant, cfg, W, threads):
    import numpy as np, torch, mwt_torch as M

    if variant.startswith('eager_autograd'):
        attn = 'sdpa' if variant.endswith('sdpa') else 'einsum'
        co = M.pixel_grid(cfg.H, cfg.W)

        def f(img, idx):
            offs, _, _ = M.inner_loop(W, img[None], idx[:, None], co, cfg, 'autograd', False, final_eval=False)
            with torch.no_grad():
                return M.classify(W, M.make_tokens(W, [o.detach() for o in offs], cfg), cfg, attn)[0]

        return f, 'torch'
    if variant.startswith('eager_closed') or variant.startswith('compile_closed'):
        net = torch_closed_module(cfg, W, 'sdpa' if 'sdpa' in variant or 'compile' in variant else 'einsum')
        if variant.startswith('compile'):
            import torch._inductor.config as ic

            if variant.endswith('freeze'):
                ic.freezing = True
            fn = torch.compile(
                net, fullgraph=True, dynamic=False, mode='max-autotune' if variant.endswith('tune') else None
            )
        else:
            fn = net

        def f(img, idx):
            with torch.inference_mode() if not variant.startswith('compile') else torch.no_grad():
                return fn(img.flatten(1), idx)

        return f, 'torch'
    if variant == 'ort_closed':
        import onnxruntime as ort

        net = torch_closed_module(cfg, W, 'einsum')
        import hashlib

        hsh = hashlib.sha256(b''.join(t.numpy().tobytes() for t in W.values())).hexdigest()[
            :8
        ]  # never reuse a graph of other weights
        path = f'{OUT}/onnx/{cfg.name}-{hsh}.onnx'
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if not os.path.exists(path):
            ex = (torch.zeros(cfg.C, cfg.H * cfg.W), torch.zeros(cfg.k, cfg.S, dtype=torch.long))
            with torch.no_grad():
                torch.onnx.export(
                    net, ex, path, input_names=['img', 'idx'], output_names=['logits'], dynamo=True, external_data=False
                )
        so = ort.SessionOptions()
        so.intra_op_num_threads = threads
        so.inter_op_num_threads = 1
        if threads > 1:
            so.add_session_config_entry('session.intra_op.allow_spinning', '0')
        so.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
        sess = ort.InferenceSession(path, so, providers=['CPUExecutionProvider'])
        return (
            lambda img, idx: sess.run(None, {'img': img.reshape(cfg.C, -1).numpy(), 'idx': idx.numpy()})[0]
        ), 'numpy'
    if variant == 'jax_jit':
        import jax, jax.numpy as jnp

        P = {n: jnp.asarray(t.numpy()) for n, t in W.items()}
        co = jnp.asarray(M.pixel_grid(cfg.H, cfg.W).numpy())
        shapes = cfg.siren_shapes()

        def unflat(v):
            o, c = [], 0
            for s in shapes:
                n = int(np.prod(s))
                o.append(v[c : c + n].reshape(s))
                c += n
            return o

        def loss(off, theta, P, x, t):
            h = x
            for i in range(cfg.L + 1):
                z = h @ (theta[2 * i] + off[2 * i]) + (theta[2 * i + 1] + off[2 * i + 1])
                h = jnp.sin(cfg.omega * z if i == 0 else z)
            y = (h @ P['siren_rgb.out.weight'].T + P['siren_rgb.out.bias']) * P['siren_rgb.out_scale']
            return ((y - t) ** 2).mean()

        def ln(x, w, b):
            m = x.mean(-1, keepdims=True)
            v = ((x - m) ** 2).mean(-1, keepdims=True)
            return (x - m) / jnp.sqrt(v + 1e-5) * w + b

        @jax.jit
        def fwd(P, img, idx):
            theta = [P[f'siren_rgb.sirens.{i}'] for i in range(2 * (cfg.L + 1))]
            off = [jnp.zeros_like(t) for t in theta]
            for j in range(cfg.k):
                g = jax.grad(loss)(off, theta, P, co[idx[j]], img[:, idx[j]].T)
                al = unflat(P[f'meta_sgd.meta_lrs_w.{j}'][0])
                off = [o - a * q for o, a, q in zip(off, al, g)]
            tok = jnp.concatenate(
                [jnp.concatenate([off[2 * i].T, off[2 * i + 1][:, None]], 1) for i in range(1, cfg.L + 1)]
            )
            tok = (tok + P['classifier.base'][0]) * cfg.lam
            lin = lambda x, n: (
                x @ P[f'classifier.{n}.weight'].T + (P[f'classifier.{n}.bias'] if f'classifier.{n}.bias' in P else 0.0)
            )
            x = lin(tok, 'project_in')
            T, h, d = cfg.tokens, cfg.heads, cfg.head_dim
            for b in range(cfg.depth):
                a, m = f'classifier.{b}.0.', f'classifier.{b}.1.'
                u = ln(x, P[f'classifier.{a}norm.weight'], P[f'classifier.{a}norm.bias'])
                q, kk, v = lin(u, a + 'to_qkv').reshape(T, 3, h, d).transpose(1, 2, 0, 3)
                o = jax.nn.softmax(q @ kk.transpose(0, 2, 1) * d**-0.5, -1) @ v
                x = x + P[f'classifier.{a}layer_scale'] * lin(o.transpose(1, 0, 2).reshape(T, h * d), a + 'to_out')
                u = ln(x, P[f'classifier.{m}m.0.weight'], P[f'classifier.{m}m.0.bias'])
                x = x + P[f'classifier.{m}scale'] * lin(jax.nn.gelu(lin(u, m + 'm.1'), approximate=False), m + 'm.3')
            return lin(x.mean(0), 'to_logits')

        return (
            lambda img, idx: np.asarray(
                fwd(P, jnp.asarray(img.reshape(cfg.C, -1).numpy()), jnp.asarray(idx.numpy().astype(np.int32)))
            )
        ), 'numpy'
    raise ValueError(variant)


def worker(a):
    import torch, numpy as np, mwt_torch as M

    torch.set_num_threads(a.threads)
    cfg = M.CONFIGS[a.config]
    W, imgs, idx, co = load(cfg, a.weights)
    # expected logits in f32 from the reference-equivalent path
    with torch.no_grad():
        offs, _, _ = M.inner_loop(W, imgs, idx, co, cfg, 'closed', final_eval=False)
        want = M.classify(W, M.make_tokens(W, offs, cfg), cfg).numpy()
    t0 = time.perf_counter()
    f, _ = build(a.worker, cfg, W, a.threads)
    got = np.stack([np.asarray(f(imgs[n], idx[: cfg.k, n])) for n in range(4)])
    setup = time.perf_counter() - t0
    err = float(np.abs(got - want).max())
    for n in range(4):
        f(imgs[n % 4], idx[: cfg.k, n % 4])
    ts, cs = [], []
    end = time.perf_counter() + a.seconds
    n = 0
    while (time.perf_counter() < end or n < 10) and n < a.iters:
        c = time.process_time()
        s = time.perf_counter()
        f(imgs[n % 4], idx[: cfg.k, n % 4])
        ts.append(time.perf_counter() - s)
        cs.append(time.process_time() - c)
        n += 1
    med = statistics.median(ts)
    fl = M.flops(cfg)
    print(
        'RESULT '
        + json.dumps(
            dict(
                config=a.config,
                variant=a.worker,
                threads=a.threads,
                median_ms=round(med * 1e3, 4),
                p10_ms=round(float(np.percentile(ts, 10)) * 1e3, 4),
                min_ms=round(min(ts) * 1e3, 4),
                cpu_ms=round(statistics.median(cs) * 1e3, 4),
                n=len(ts),
                gflops=round(fl['infer'] / med / 1e9, 2),
                max_abs_logit_err=err,
                setup_s=round(setup, 1),
                rss_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            )
        )
    )


def peak():
    import torch

    for th in (1, 2):
        torch.set_num_threads(th)
        A, B = torch.randn(1024, 1024), torch.randn(1024, 1024)
        ts, cs = [], []
        for _ in range(30):
            s, c = time.perf_counter(), time.process_time()
            A @ B
            ts.append(time.perf_counter() - s)
            cs.append(time.process_time() - c)
        print(
            f'by CPU time: {2 * 1024**3 / statistics.median(cs) / 1e9:.0f} GFLOP/s per core-second;'
            f'  sgemm 1024^3, {th} threads: {2 * 1024**3 / statistics.median(ts) / 1e9:.0f} GFLOP/s median,'
            f' {2 * 1024**3 / min(ts) / 1e9:.0f} best'
        )


if __name__ == '__main__':
    p = argparse.ArgumentParser()
    p.add_argument('--config', default='micro')
    p.add_argument('--threads', type=int, default=1)
    p.add_argument('--weights')
    p.add_argument('--variants', default=','.join(VARIANTS))
    p.add_argument('--iters', type=int, default=100000)
    p.add_argument('--seconds', type=float, default=4)
    p.add_argument('--worker')
    p.add_argument('--json')
    p.add_argument('--peak', action='store_true')
    p.add_argument('--export-weights', action='store_true')
    a = p.parse_args()
    if a.peak:
        peak()
        sys.exit()
    if a.export_weights:
        import torch, mwt_torch as M
        from safetensors.torch import save_file

        os.makedirs(OUT, exist_ok=True)
        for c in ('micro', 'base', 'mnist-base'):
            cfg = M.CONFIGS[c]
            W, im, ix, co = load(cfg, None)
            offs, _, _ = M.inner_loop(W, im, ix, co, cfg, 'closed', final_eval=False)
            save_file(W, f'{OUT}/{c}.weights.safetensors')
            save_file(
                dict(
                    images=im,
                    indices=ix.to(torch.int32).contiguous(),
                    coords=co,
                    logits=M.classify(W, M.make_tokens(W, offs, cfg), cfg).contiguous(),
                ),
                f'{OUT}/{c}.inputs.safetensors',
            )
        sys.exit()
    if a.worker:
        if a.threads == 1:
            os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
        worker(a)
        sys.exit()
    for v in a.variants.split(','):
        env = dict(
            os.environ,
            OMP_NUM_THREADS=str(a.threads),
            MKL_NUM_THREADS=str(a.threads),
            JAX_PLATFORMS='cpu',
            CUDA_VISIBLE_DEVICES='',
            TORCHINDUCTOR_CACHE_DIR=os.path.join(tempfile.gettempdir(), f'mwt_inductor_cache_{a.threads}'),
        )
        if a.threads > 1:
            env['OMP_WAIT_POLICY'] = 'PASSIVE'  # spinning barriers cost x500 on a busy machine
        if a.threads == 1:
            env['XLA_FLAGS'] = '--xla_cpu_multi_thread_eigen=false'
        cmd = [
            sys.executable,
            __file__,
            '--worker',
            v,
            '--config',
            a.config,
            '--threads',
            str(a.threads),
            '--iters',
            str(a.iters),
            '--seconds',
            str(a.seconds),
        ]
        if a.weights:
            cmd += ['--weights', a.weights]
        r = subprocess.run(cmd, env=env, capture_output=True, text=True)
        lines = [l[7:] for l in r.stdout.splitlines() if l.startswith('RESULT ')]
        if lines:
            print(lines[0], flush=True)
            if a.json:
                open(a.json, 'a').write(lines[0] + '\n')
        else:
            print(
                json.dumps(
                    dict(
                        config=a.config,
                        variant=v,
                        threads=a.threads,
                        error=(r.stderr.strip().splitlines() or ['?'])[-1][:300],
                    )
                ),
                flush=True,
            )
            open(os.path.join(tempfile.gettempdir(), f'mwt_err_{v}_{a.config}.log'), 'w').write(r.stdout + r.stderr)
