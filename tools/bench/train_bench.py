"""Training throughput of the PyTorch implementation on the CPU or on CUDA: the baselines of docs/PERFORMANCE.md.

    python tools/bench/train_bench.py --config base --batch 16 --mode closed --one-pass --attn sdpa --steps 8
    python tools/bench/train_bench.py --config base --batch 128 --device cuda --autocast fp16 \\
        --compile --mode closed --one-pass --attn sdpa

Work timed: one outer step, all of it: pixels drawn and gathered, inner loop with its graph, both losses, gradients,
clipping, AdamW. Prints one line of JSON: images per second, ms per step, peak memory, GFLOP/s.

--mode autograd   the public reference's way (create_graph=True)
--mode closed     the inner gradient in closed form, one level of autograd
--one-pass        one backward pass instead of two; the same gradient (mwt_torch.outer_grads)

Needs torch (tools/requirements.txt); safetensors for --weights.
"""

import argparse, json, resource, statistics, time, sys, os

p = argparse.ArgumentParser()
p.add_argument('--config', default='micro')
p.add_argument('--batch', type=int, default=32)
p.add_argument('--device', default='cpu')
p.add_argument('--autocast', default='off', choices=['off', 'fp16', 'bf16'])
p.add_argument('--compile', action='store_true')
p.add_argument('--mode', default='autograd', choices=['autograd', 'closed'])
p.add_argument('--one-pass', action='store_true')
p.add_argument('--attn', default='einsum', choices=['einsum', 'sdpa'])
p.add_argument('--steps', type=int, default=20)
p.add_argument('--warmup', type=int, default=3)
p.add_argument('--seconds', type=float, default=60)
p.add_argument('--threads', type=int, default=0)
p.add_argument('--tf32', action='store_true')
p.add_argument('--weights')
a = p.parse_args()
if a.device == 'cpu':
    os.environ['CUDA_VISIBLE_DEVICES'] = ''
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../reference'))
import torch, mwt_torch as M

if a.threads:
    torch.set_num_threads(a.threads)
    if a.threads == 1:
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
if a.tf32:
    torch.backends.cuda.matmul.allow_tf32 = True
dev = torch.device(a.device)
cuda = dev.type == 'cuda'
cfg = M.CONFIGS[a.config]
if a.weights:
    from safetensors.torch import load_file

    W = load_file(a.weights)
else:
    W = M.init_params(cfg, 0)
P = {n: t.to(dev).requires_grad_(True) for n, t in W.items()}
imgs = M.smooth_images(cfg, 8, 1).repeat((a.batch + 7) // 8, 1, 1, 1)[: a.batch].to(dev)
labels = torch.randint(0, cfg.classes, (a.batch,), device=dev)
coords = M.pixel_grid(cfg.H, cfg.W).to(dev)
groups = [dict(params=[P[n] for n in P if M.group_of(n) == g], lr=M.Outer.MAX_LR[g]) for g in range(3)]
opt = torch.optim.AdamW(groups, weight_decay=1e-4, fused=True)
sched = torch.optim.lr_scheduler.OneCycleLR(opt, pct_start=0.05, max_lr=list(M.Outer.MAX_LR), total_steps=100000)
scaler = torch.amp.GradScaler(dev.type, enabled=a.autocast == 'fp16')
dt = {'fp16': torch.float16, 'bf16': torch.bfloat16, 'off': torch.float32}[a.autocast]
names = list(P)
inner = [n for n in names if M.group_of(n) < 2]
CW = 0.01


def losses(P, imgs, labels, idx):
    with torch.autocast(dev.type, dtype=dt, enabled=a.autocast != 'off'):
        o = M.forward_losses(P, imgs, labels, idx, coords, cfg, a.mode, a.attn, CW if a.one_pass else None)
    return o['cls'], o['recon']


fwd = losses
if a.compile:  # torch.compile cannot trace create_graph double backward: needs --mode closed
    assert a.mode == 'closed', '--compile needs --mode closed'
    fwd = torch.compile(losses, dynamic=False)
full = cfg.S >= cfg.H * cfg.W


def step():
    if full:
        idx = torch.arange(cfg.S, device=dev).expand(cfg.k + 1, a.batch, -1)
    else:
        idx = torch.rand(cfg.k + 1, a.batch, cfg.H * cfg.W, device=dev).topk(cfg.S, -1).indices
    opt.zero_grad(set_to_none=True)
    cls, rec = fwd(P, imgs, labels, idx)
    if a.one_pass:
        scaler.scale(cls + rec).backward()
    else:
        scaler.scale(cls).backward(retain_graph=True)
        for n in inner:
            if P[n].grad is not None:
                P[n].grad.mul_(CW)
        scaler.scale(rec).backward()
    scaler.unscale_(opt)
    for g in opt.param_groups:
        torch.nn.utils.clip_grad_norm_(g['params'], 1.0)
    scaler.step(opt)
    scaler.update()
    sched.step()
    return cls, rec


def sync():
    if cuda:
        torch.cuda.synchronize()


t0 = time.perf_counter()
for _ in range(a.warmup):
    c, r = step()
sync()
setup = time.perf_counter() - t0
if cuda:
    torch.cuda.reset_peak_memory_stats()
ts, cs, end = [], [], time.perf_counter() + a.seconds
for i in range(a.steps):
    q, s = time.process_time(), time.perf_counter()
    c, r = step()
    sync()
    ts.append(time.perf_counter() - s)
    cs.append(time.process_time() - q)
    if time.perf_counter() > end:
        break
med = statistics.median(ts)
print(
    json.dumps(
        dict(
            config=a.config,
            batch=a.batch,
            device=a.device,
            autocast=a.autocast,
            compile=a.compile,
            mode=a.mode,
            one_pass=a.one_pass,
            attn=a.attn,
            threads=torch.get_num_threads(),
            ms_per_step=round(med * 1e3, 2),
            min_ms=round(min(ts) * 1e3, 2),
            cpu_ms=round(statistics.median(cs) * 1e3, 2),
            images_per_s=round(a.batch / med, 2),
            model_gflops=round(M.flops(cfg)['train'] * a.batch / med / 1e9, 1),
            steps=len(ts),
            setup_s=round(setup, 1),
            peak_mb=round(torch.cuda.max_memory_allocated() / 2**20) if cuda else None,
            peak_rss_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            cls=float(c),
            recon=float(r),
        )
    )
)
