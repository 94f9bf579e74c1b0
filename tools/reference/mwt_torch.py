"""The Meta Weight Transformer (MWT) in PyTorch, written independently of the Rust crates from docs/METHOD.md.

A module without a command: golden.py writes the golden vectors with it in float64, tools/bench times it, and
tools/precision rounds its matrix products. Functional, in whatever type its tensors have; the gradient of an inner step
comes from autograd (as in the public reference implementation) or in closed form.

Needs torch (tools/requirements.txt).

All learned values live in ONE flat dict  name -> tensor, under the names of the reference's own
state dicts, prefixed by the checkpoint key:  siren_rgb.*, meta_sgd.*, classifier.*

Shapes (D = dim, L = hidden SIREN layers, C = channels, E = axes, M = number of adapted values,
T = L*D tokens):
  siren_rgb.out_scale [C]            siren_rgb.sirens.0 [E,D] (in,out)   siren_rgb.sirens.1 [D]
  siren_rgb.sirens.{2i} [D,D]        siren_rgb.sirens.{2i+1} [D]         i = 1..L
  siren_rgb.out.weight [C,D] (out,in; nn.Linear)   siren_rgb.out.bias [C]       (out.* not adapted)
  meta_sgd.meta_lrs_w.{j} [1,M]      j = 0..k-1
  classifier.base [1,T,D+1]          classifier.project_in.weight [D,D+1] ...
"""

from __future__ import annotations
import math
from dataclasses import dataclass
import torch
import torch.nn.functional as F


# ------------------------------------------------------------------ configuration
@dataclass(frozen=True)
class Cfg:
    name: str
    D: int  # dim: of the SIREN and of the Transformer
    L: int  # hidden D->D layers (the SIREN has L+1 sine layers + a linear head)
    k: int  # inner steps
    depth: int  # Transformer blocks
    C: int  # channels
    H: int  # H*W positions, as an image has them; see extents
    W: int
    S: int  # positions sampled per step
    classes: int = 10
    omega: float = 10.0
    lam: float = 500.0  # modulation_scale
    mlp_mult: int = 1
    extents: tuple = ()  # sides of the grid where it is no image's: H*W positions

    @property
    def sides(self):
        return self.extents or (self.H, self.W)

    @property
    def head_dim(self):
        return min(64, self.D)

    @property
    def heads(self):
        return self.D // self.head_dim

    @property
    def tokens(self):
        return self.L * self.D

    @property
    def M(self):
        return (len(self.sides) + 1) * self.D + self.L * (self.D * self.D + self.D)  # ED + D + L(D^2+D)

    def siren_shapes(self):
        out = [(len(self.sides), self.D), (self.D,)]
        for _ in range(self.L):
            out += [(self.D, self.D), (self.D,)]
        return out


CONFIGS = {
    c.name: c
    for c in [
        Cfg('nano', 16, 2, 3, 2, 1, 8, 8, 64),
        Cfg('line', 16, 2, 2, 2, 3, 40, 1, 20, extents=(40,)),
        Cfg('cube', 16, 2, 3, 2, 1, 30, 7, 105, extents=(5, 6, 7)),
        Cfg('micro', 32, 2, 4, 4, 1, 28, 28, 196),
        Cfg('base', 128, 4, 6, 10, 3, 32, 32, 170),
        Cfg('mnist-base', 128, 4, 6, 10, 1, 28, 28, 784),
        Cfg('cifar-full', 128, 4, 6, 10, 3, 32, 32, 1024),
        Cfg('large', 256, 4, 6, 10, 3, 32, 32, 170),
    ]
}


def param_shapes(cfg: Cfg):
    """Names -> shapes, in the order the reference's optimiser sees them (own parameters before
    sub-modules), i.e. the order of the integer ids of the optimiser state in a checkpoint."""
    D, C, T, h = cfg.D, cfg.C, cfg.tokens, cfg.heads * cfg.head_dim
    s = {'siren_rgb.out_scale': (C,)}
    for i, shp in enumerate(cfg.siren_shapes()):
        s[f'siren_rgb.sirens.{i}'] = shp
    s['siren_rgb.out.weight'] = (C, D)
    s['siren_rgb.out.bias'] = (C,)
    for j in range(cfg.k):
        s[f'meta_sgd.meta_lrs_w.{j}'] = (1, cfg.M)
    s['classifier.base'] = (1, T, D + 1)
    s['classifier.project_in.weight'] = (D, D + 1)
    s['classifier.project_in.bias'] = (D,)
    for b in range(cfg.depth):
        p = f'classifier.classifier.{b}.'
        s[p + '0.layer_scale'] = (D,)
        s[p + '0.norm.weight'] = (D,)
        s[p + '0.norm.bias'] = (D,)
        s[p + '0.to_qkv.weight'] = (3 * h, D)
        s[p + '0.to_out.weight'] = (D, h)
        s[p + '0.to_out.bias'] = (D,)
        s[p + '1.scale'] = (D,)
        s[p + '1.m.0.weight'] = (D,)
        s[p + '1.m.0.bias'] = (D,)
        s[p + '1.m.1.weight'] = (D * cfg.mlp_mult, D)
        s[p + '1.m.1.bias'] = (D * cfg.mlp_mult,)
        s[p + '1.m.3.weight'] = (D, D * cfg.mlp_mult)
        s[p + '1.m.3.bias'] = (D,)
    s['classifier.to_logits.weight'] = (cfg.classes, D)
    s['classifier.to_logits.bias'] = (cfg.classes,)
    return s


def group_of(name):  # optimiser group index
    return {'siren_rgb': 0, 'meta_sgd': 1, 'classifier': 2}[name.split('.', 1)[0]]


def init_params(cfg: Cfg, seed=0, perturb=False):
    """perturb=False: the distributions of the reference at step 0.  perturb=True: every value random
    and non-trivial (for golden vectors: a swapped or forgotten tensor then shows)."""
    g = torch.Generator().manual_seed(seed)
    U = lambda shp, a, b: a + (b - a) * torch.rand(shp, generator=g)
    Nrm = lambda shp, s: s * torch.randn(shp, generator=g)
    P = {}
    for n, shp in param_shapes(cfg).items():
        if n.startswith('siren_rgb.sirens.'):
            i = int(n.rsplit('.', 1)[1])
            if i % 2:
                t = Nrm(shp, 0.05) if perturb else torch.zeros(shp)
            else:
                v = 1 / 2 if i == 0 else math.sqrt(6 / cfg.D)
                t = U(shp, -v, v)
        elif n == 'siren_rgb.out_scale':
            t = U(shp, 0.8, 1.2) if perturb else torch.full(shp, 0.1)
        elif n.startswith('meta_sgd.'):
            t = U(shp, 0.1, 1.0)
        elif n == 'classifier.base':
            t = Nrm(shp, 2e-3) if perturb else torch.zeros(shp)
        elif n.endswith('layer_scale') or n.endswith('1.scale'):
            t = U(shp, 0.05, 0.15) if perturb else torch.full(shp, 0.1)
        elif 'norm.' in n or '.m.0.' in n:
            one = 1.0 if n.endswith('weight') else 0.0
            t = one + (Nrm(shp, 0.1) if perturb else torch.zeros(shp))
        else:  # nn.Linear default: U(+-1/sqrt(fan_in))
            w = shp if n.endswith('weight') else param_shapes(cfg)[n[:-4] + 'weight']
            v = 1 / math.sqrt(w[1])
            t = U(shp, -v, v)
        P[n] = t.float().contiguous()
    return P


def grid(cfg, dtype=torch.float32):
    """[positions, E]: a column for each axis, the last axis fastest; in [-1, 1], end points included."""
    if len(cfg.sides) == 2:
        return pixel_grid(*cfg.sides, dtype)
    axes = [torch.linspace(-1, 1, side, dtype=torch.float64) for side in cfg.sides]
    return torch.stack(torch.meshgrid(*axes, indexing='ij'), -1).reshape(-1, len(axes)).to(dtype)


def pixel_grid(H, W, dtype=torch.float32):
    """[H*W, 2], column 0 = y (row), column 1 = x; row-major; both in [-1, 1] end points included."""
    y = torch.linspace(-1, 1, H, dtype=dtype)
    x = torch.linspace(-1, 1, W, dtype=dtype)
    return torch.stack([y[:, None].expand(H, W), x[None].expand(H, W)], -1).reshape(-1, 2)


# ------------------------------------------------------------------ SIREN, functional
def split_flat(v, cfg):
    """[N, M] -> list of [N, *shape] views, order w0 b0 w1 b1 ..."""
    out, c = [], 0
    for shp in cfg.siren_shapes():
        n = math.prod(shp)
        out.append(v[:, c : c + n].reshape(-1, *shp))
        c += n
    return out


def siren(P, phi, x, cfg):
    """phi: list of per-image [N,ci,co],[N,co]; x [N,S,2] -> [N,S,C]."""
    for i in range(cfg.L + 1):
        z = x @ phi[2 * i] + phi[2 * i + 1][:, None]
        x = torch.sin(cfg.omega * z if i == 0 else z)
    return F.linear(x, P['siren_rgb.out.weight'], P['siren_rgb.out.bias']) * P['siren_rgb.out_scale']


def theta_list(P, cfg):
    return [P[f'siren_rgb.sirens.{i}'] for i in range(2 * (cfg.L + 1))]


def inner_grad_closed(P, phi, x, tgt, cfg):
    """Closed-form gradient of sum_n mean_{s,c}(err^2) w.r.t. phi. Only first-order torch ops, so it is
    itself differentiable by plain autograd (outer training without create_graph).
    Returns list like phi and the per-image loss [N]."""
    acts, zs, h = [x], [], x
    for i in range(cfg.L + 1):
        z = torch.baddbmm(phi[2 * i + 1][:, None], h, phi[2 * i])
        if i == 0:
            z = cfg.omega * z
        zs.append(z)
        h = torch.sin(z)
        acts.append(h)
    y = F.linear(h, P['siren_rgb.out.weight'], P['siren_rgb.out.bias']) * P['siren_rgb.out_scale']
    err = y - tgt
    loss = (err * err).mean((1, 2))
    dh = (err * (P['siren_rgb.out_scale'] * (2.0 / (err.shape[1] * err.shape[2])))) @ P['siren_rgb.out.weight']
    g = [None] * (2 * (cfg.L + 1))
    for i in range(cfg.L, -1, -1):
        dz = dh * torch.cos(zs[i])
        if i == 0:
            dz = cfg.omega * dz
        g[2 * i] = acts[i].transpose(1, 2) @ dz
        g[2 * i + 1] = dz.sum(1)
        if i:
            dh = dz @ phi[2 * i].transpose(1, 2)
    return g, loss


def gather_pixels(coords, flat, idx):
    """coords [HW,2], flat [N,HW,C], idx [N,S] -> [N,S,2], [N,S,C]"""
    return coords[idx], torch.gather(flat, 1, idx[..., None].expand(-1, -1, flat.shape[2]))


def inner_loop(P, images, indices, coords, cfg, grad_mode='autograd', build_graph=True, trace=None, final_eval=True):
    """images [N,C,H,W]; indices [k+1,N,S] (row k: pixels of the outer reconstruction loss).
    -> offset (list per tensor; phi - theta), recon loss per image [N], psnr on those pixels [N]."""
    N = images.shape[0]
    flat = images.flatten(2).transpose(1, 2)
    theta = theta_list(P, cfg)
    if grad_mode == 'autograd':
        off = torch.zeros(N, cfg.M, dtype=images.dtype, device=images.device, requires_grad=True)
        for j in range(cfg.k):
            x, t = gather_pixels(coords, flat, indices[j])
            o = split_flat(off, cfg)
            y = siren(P, [a + b for a, b in zip(theta, o)], x, cfg)
            loss = ((y - t) ** 2).mean((1, 2))
            (g,) = torch.autograd.grad(loss.sum(), off, create_graph=build_graph)
            if trace is not None:
                trace.append((loss.detach(), off.detach()))
            off = off - P[f'meta_sgd.meta_lrs_w.{j}'] * g
            if not build_graph:
                off = off.detach().requires_grad_(True)
        offs = split_flat(off, cfg)
        if trace is not None:
            trace.append((None, off.detach()))
    else:
        offs = [t.new_zeros((N,) + tuple(t.shape)) for t in theta]
        for j in range(cfg.k):
            x, t = gather_pixels(coords, flat, indices[j])
            phi = [a + b for a, b in zip(theta, offs)]
            g, loss = inner_grad_closed(P, phi, x, t, cfg)
            if trace is not None:
                trace.append((loss.detach(), torch.cat([o.detach().flatten(1) for o in offs], 1)))
            al = [a[0] for a in split_flat(P[f'meta_sgd.meta_lrs_w.{j}'], cfg)]
            offs = [o - a * gg for o, a, gg in zip(offs, al, g)]
        if trace is not None:
            trace.append((None, torch.cat([o.detach().flatten(1) for o in offs], 1)))
    if not final_eval:
        return offs, None, None
    x, t = gather_pixels(coords, flat, indices[cfg.k])
    y = siren(P, [a + b for a, b in zip(theta, offs)], x, cfg)
    return offs, ((y - t) ** 2).mean((1, 2)), psnr(y.detach(), t)


def psnr(y, t):
    """inputs in [-1,1]; mapped to [0,1]; prediction clamped."""
    return -10 * torch.log10(((((y + 1) / 2).clamp(0, 1) - (t + 1) / 2) ** 2).mean((1, 2)))


# ------------------------------------------------------------------ classifier
def make_tokens(P, offs, cfg):
    """(phi - theta + beta) * lambda, hidden layers only; token = one output neuron: [T, D+1]
    = its D incoming weights (a COLUMN of the stored [in,out] matrix) then its bias."""
    rows = [torch.cat([offs[2 * i].transpose(1, 2), offs[2 * i + 1][..., None]], 2) for i in range(1, cfg.L + 1)]
    return (torch.cat(rows, 1) + P['classifier.base']) * cfg.lam


def classify(P, tokens, cfg, attn='einsum', trace=None):
    lin = lambda x, n: F.linear(x, P[f'classifier.{n}.weight'], P.get(f'classifier.{n}.bias'))
    ln = lambda x, n: F.layer_norm(x, (cfg.D,), P[f'classifier.{n}.weight'], P[f'classifier.{n}.bias'], 1e-5)
    keep = (lambda n, t: trace.__setitem__(n, t.detach())) if trace is not None else (lambda n, t: None)
    h, d = cfg.heads, cfg.head_dim
    x = lin(tokens, 'project_in')
    keep('project_in', x)
    N, T, D = x.shape
    for b in range(cfg.depth):
        a, m = f'classifier.{b}.0.', f'classifier.{b}.1.'
        q, kk, v = lin(ln(x, a + 'norm'), a + 'to_qkv').view(N, T, 3, h, d).permute(2, 0, 3, 1, 4)
        if attn == 'sdpa':
            o = F.scaled_dot_product_attention(q, kk, v)
        else:
            o = torch.softmax((q @ kk.transpose(-1, -2)) * d**-0.5, -1) @ v
        x = x + P['classifier.' + a + 'layer_scale'] * lin(o.transpose(1, 2).reshape(N, T, h * d), a + 'to_out')
        keep(f'block{b}.attn', x)
        x = x + P['classifier.' + m + 'scale'] * lin(F.gelu(lin(ln(x, m + 'm.0'), m + 'm.1')), m + 'm.3')
        keep(f'block{b}.mlp', x)
    x = x.mean(1)
    keep('pooled', x)
    return lin(x, 'to_logits')


# ------------------------------------------------------------------ outer objective
class _ScaleGrad(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, s):
        ctx.s = s
        return x.view_as(x)

    @staticmethod
    def backward(ctx, g):
        return g * ctx.s, None


def forward_losses(
    P,
    images,
    labels,
    indices,
    coords,
    cfg,
    grad_mode='autograd',
    attn='einsum',
    cls_grad_scale=None,
    trace=None,
    act_trace=None,
):
    offs, rec, ps = inner_loop(P, images, indices, coords, cfg, grad_mode, True, trace)
    co = offs if cls_grad_scale is None else [_ScaleGrad.apply(o, cls_grad_scale) for o in offs]
    tok = make_tokens(P, co, cfg)
    logits = classify(P, tok, cfg, attn, act_trace)
    return dict(
        logits=logits,
        tokens=tok,
        recon=rec.mean(),
        recon_per_image=rec,
        psnr=ps,
        offs=offs,
        cls=F.cross_entropy(logits, labels),
    )


def outer_grads(
    P, images, labels, indices, coords, cfg, grad_mode='autograd', attn='einsum', one_pass=False, cls_w=0.01, scale=1.0
):
    """g(theta,alpha,out) = cls_w * dCE + dRecon ;  g(classifier) = dCE (unscaled).
    two-pass = as the reference; one_pass = same gradient by scaling it where it enters the inner loop."""
    names = list(P)
    inner = [n for n in names if group_of(n) < 2]
    out = forward_losses(P, images, labels, indices, coords, cfg, grad_mode, attn, cls_w if one_pass else None)
    if one_pass:
        gs = torch.autograd.grad((out['cls'] + out['recon']) * scale, [P[n] for n in names])
        return dict(zip(names, gs)), out, None, None
    gc = dict(
        zip(names, torch.autograd.grad(out['cls'] * scale, [P[n] for n in names], retain_graph=True, allow_unused=True))
    )
    gr = dict(zip(inner, torch.autograd.grad(out['recon'] * scale, [P[n] for n in inner], allow_unused=True)))
    gc = {n: torch.zeros_like(P[n]) if g is None else g for n, g in gc.items()}
    gr = {n: torch.zeros_like(P[n]) if g is None else g for n, g in gr.items()}
    g = {n: (cls_w * gc[n] + gr[n]) if group_of(n) < 2 else gc[n] for n in names}
    return g, out, gc, gr


# ------------------------------------------------------------------ optimiser: AdamW + OneCycle, written out
def one_cycle(n, total, max_lr, pct=0.05, div=25.0, final_div=1e4, m_hi=0.95, m_lo=0.85):
    """(lr, beta1) used by outer step n = 0..total-1. NOTE beta1 is cycled too (torch default)."""
    up, end = pct * total - 1, total - 1
    cos = lambda a, b, f: b + (a - b) / 2 * (1 + math.cos(math.pi * f))
    lr0 = max_lr / div
    if n <= up:
        return cos(lr0, max_lr, n / up), cos(m_hi, m_lo, n / up)
    f = (n - up) / (end - up)
    return cos(max_lr, lr0 / final_div, f), cos(m_lo, m_hi, f)


class Outer:
    MAX_LR = (1e-4, 1e-2, 1e-4)

    def __init__(self, P, total, wd=1e-4, beta2=0.999, eps=1e-8, clip=1.0):
        self.m = {n: torch.zeros_like(t) for n, t in P.items()}
        self.v = {n: torch.zeros_like(t) for n, t in P.items()}
        self.t, self.total, self.wd, self.b2, self.eps, self.clip = 0, total, wd, beta2, eps, clip

    @torch.no_grad()
    def step(self, P, grads):
        norms = []
        for gi in range(3):
            names = [n for n in P if group_of(n) == gi]
            norm = torch.sqrt(sum((grads[n] ** 2).sum() for n in names))
            norms.append(float(norm))
            sc = torch.clamp(self.clip / (norm + 1e-6), max=1.0)
            lr, b1 = one_cycle(self.t, self.total, self.MAX_LR[gi])
            c1, c2 = 1 - b1 ** (self.t + 1), 1 - self.b2 ** (self.t + 1)
            for n in names:
                g = grads[n] * sc
                P[n].mul_(1 - lr * self.wd)
                self.m[n].mul_(b1).add_(g, alpha=1 - b1)
                self.v[n].mul_(self.b2).addcmul_(g, g, value=1 - self.b2)
                P[n].sub_(lr / c1 * self.m[n] / ((self.v[n] / c2).sqrt() + self.eps))
        self.t += 1
        return norms


# ------------------------------------------------------------------ synthetic inputs
def smooth_images(cfg, n=4, seed=1):
    g = torch.Generator().manual_seed(seed)
    xy = grid(cfg, torch.float64)
    im = []
    for _ in range(n):
        ch = []
        for _ in range(cfg.C):
            v = torch.zeros(cfg.H * cfg.W, dtype=torch.float64)
            for _ in range(3):
                f = (torch.rand(xy.shape[1], generator=g, dtype=torch.float64) - 0.5) * 7
                p = torch.rand(1, generator=g, dtype=torch.float64) * 6.28
                v += torch.sin(xy @ f + p) * torch.rand(1, generator=g, dtype=torch.float64)
            c = torch.rand(xy.shape[1], generator=g, dtype=torch.float64) - 0.5
            v += 1.5 * torch.exp(-((xy - c) ** 2).sum(1) / 0.15)
            v = (v - v.min()) / (v.max() - v.min()) * 1.9 - 0.95
            ch.append(v.view(cfg.H, cfg.W))
        im.append(torch.stack(ch))
    return torch.stack(im).float()


def sample_indices(cfg, n, steps, seed=2):
    """[steps, n, S] without replacement; identity when all pixels are used."""
    HW = cfg.H * cfg.W
    if cfg.S >= HW:
        return torch.arange(HW).expand(steps, n, HW).contiguous()
    g = torch.Generator().manual_seed(seed)
    return torch.stack(
        [torch.stack([torch.randperm(HW, generator=g)[: cfg.S] for _ in range(n)]) for _ in range(steps)]
    )


# ------------------------------------------------------------------ FLOP model (multiply-add = 2)
def flops(cfg: Cfg):
    D, L, k, C, S, T, d = cfg.D, cfg.L, cfg.k, cfg.C, cfg.S, cfg.tokens, cfg.depth
    fwd = S * (2 * 2 * D + 2 * L * D * D + 2 * D * C)  # one SIREN evaluation
    bwd = S * (2 * 2 * D + 4 * L * D * D + 2 * D * C)  # dW (all), dh (hidden+head)
    block = 2 * T * D * 3 * D + 4 * T * T * D + 2 * T * D * D + 4 * T * D * D * cfg.mlp_mult
    tr = 2 * T * (D + 1) * D + d * block + 2 * D * cfg.classes
    inner = k * (fwd + bwd)
    return dict(
        siren_fwd=fwd,
        siren_bwd=bwd,
        inner=inner,
        transformer=tr,
        infer=inner + tr,
        second_order=2 * inner,  # reverse through every GEMM of the inner loop: 2x
        recon=3 * fwd,  # fwd + bwd of the outer recon loss (theta grad via phi)
        train=3 * inner + 3 * fwd + 3 * tr,
        sines=k * S * (L + 1) * D,
        exps=d * cfg.heads * T * T,
        erfs=d * T * D * cfg.mlp_mult,
    )
