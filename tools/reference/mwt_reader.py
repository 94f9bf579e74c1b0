"""A reader, runner and writer of .mwt bundles in numpy, written from docs/FORMAT.md and docs/METHOD.md alone.

    python tools/reference/mwt_reader.py models/mnist-micro.mwt

prints each bundle's header, whether writing it again gives the same bytes, and how far its golden samples' logits,
fitted and classified here in float64 and in float32, are from those that it stores. As a module: parse, write, draw,
fit, tokens, classify, logits. What a bundle may not be raises Bad. Format versions 1 and 2.

Needs numpy (tools/requirements.txt).
"""

import struct, zlib, math, sys
import numpy as np

MAGIC = b'\x89MWT\r\n\x1a\n'


class Bad(Exception):
    pass


class Cur:
    def __init__(s, b):
        s.b = b
        s.i = 0

    def take(s, n):
        if s.i + n > len(s.b):
            raise Bad('truncated')
        r = s.b[s.i : s.i + n]
        s.i += n
        return r

    def varint(s, bits):
        # postcard: unsigned LEB128, 7 bits per byte, little end first; at most ceil(bits/7) bytes
        v = 0
        sh = 0
        for n in range((bits + 6) // 7):
            c = s.take(1)[0]
            v |= (c & 127) << sh
            sh += 7
            if not c & 128:
                if v >> bits:
                    raise Bad('varint overflow')
                if c == 0 and n:
                    raise Bad('varint not shortest')
                return v
        raise Bad('varint too long')

    def f32(s):
        return struct.unpack('<f', s.take(4))[0]

    def u8(s):
        return s.take(1)[0]

    def str(s):
        n = s.varint(32)
        try:
            return s.take(n).decode('utf-8')
        except UnicodeDecodeError:
            raise Bad('not utf8')

    def bool(s):
        c = s.u8()
        if c > 1:
            raise Bad('bool')
        return bool(c)

    def enum(s, n):
        v = s.u8()
        if v >= n:
            raise Bad('enum')
        return v

    def opt(s):
        c = s.u8()
        if c > 1:
            raise Bad('option')
        return s.f32_raw() if c else None

    def f32_raw(s):
        # keep bits: value is a float32
        return np.frombuffer(s.take(4), '<f4')[0]


FIELDS = [
    ('D', 32),
    ('L', 32),
    ('k', 32),
    ('B', 32),
    ('mlp', 32),
    ('C', 32),
    ('K', 32),
]
TYPES = ('u1', '<i2', '<f4')
LARGEST = (255, 32768, 0)


def parse_header(b, version):
    c = Cur(b)
    h = {'version': version}
    for n, bits in FIELDS:
        h[n] = c.varint(bits)
    axes = 2 if version == 1 else c.varint(32)
    if not 1 <= axes <= 3:
        raise Bad('axes')
    h['sides'] = [c.varint(32) for _ in range(axes)]
    h['P'] = c.varint(32)
    h['omega'] = c.f32_raw()
    h['lambda'] = c.f32_raw()
    h['shared'] = c.bool()
    h['kind'] = c.enum(2 if version == 1 else 3)
    h['cell'] = [c.varint(32) for _ in range(axes)] if h['kind'] == 2 else None
    h['draw_seed'] = c.varint(32)
    h['schemes'] = [c.enum(3) for _ in range(4)]
    h['type'] = 0 if version == 1 else c.enum(3)
    pairs = 1 if version == 1 else h['C']
    if pairs > 16:
        raise Bad('C')
    h['scaling'] = [(c.f32_raw(), c.f32_raw()) for _ in range(pairs)]
    h['labels'] = c.str()
    h['G'] = c.u8()
    h['data_set'] = c.str()
    h['producer'] = c.str()
    h['seed'] = c.varint(64)
    h['outer'] = c.varint(64)
    h['acc'] = c.opt()
    h['psnr'] = c.opt()
    if c.i != len(b):
        raise Bad('header left over')
    return h


def check_header(h):
    D = h['D']
    if not ((D % 8 == 0 and 8 <= D <= 64) or (D % 64 == 0 and 64 <= D <= 1024)):
        raise Bad('D')
    for n, lo, hi in [
        ('L', 1, 16),
        ('k', 1, 64),
        ('B', 1, 64),
        ('mlp', 1, 8),
        ('C', 1, 4 if h['version'] == 1 else 16),
        ('K', 2, 65535),
    ]:
        if not lo <= h[n] <= hi:
            raise Bad(n)
    if not all(1 <= s <= (4096 if h['version'] == 1 else 65536) for s in h['sides']):
        raise Bad('sides')
    if positions(h) > 1 << 24:
        raise Bad('positions')
    if not 1 <= h['P'] <= positions(h):
        raise Bad('P')
    if h['cell'] and (0 in h['cell'] or math.prod(cells(h)) != h['P']):
        raise Bad('cell')
    if not 0 < h['omega'] <= 1000:
        raise Bad('omega')
    if not 0 < h['lambda'] <= 1e6:
        raise Bad('lambda')
    for scale, offset in h['scaling']:
        with np.errstate(over='ignore'):
            most = scale * np.float32(LARGEST[h['type']]) + abs(offset)
        if not (np.isfinite(scale) and scale > 0 and np.isfinite(most)):
            raise Bad('scale')
    if h['acc'] is not None and not 0 <= h['acc'] <= 1 or h['psnr'] is not None and np.isnan(h['psnr']):
        raise Bad('facts')
    if len(h['labels'].split('\n')) != h['K']:
        raise Bad('labels')


def positions(h):
    return math.prod(h['sides'])


def cells(h):
    return [-(-side // cell) for side, cell in zip(h['sides'], h['cell'])]


def enc_varint(v):
    o = bytearray()
    while True:
        if v < 128:
            o.append(v)
            return bytes(o)
        o.append(v & 127 | 128)
        v >>= 7


def f4(v):
    return np.asarray(v, '<f4').tobytes()


def enc_str(s):
    b = s if isinstance(s, bytes) else s.encode()
    return enc_varint(len(b)) + b


def enc_opt(v):
    return b'\0' if v is None else b'\1' + f4(v)


def enc_header(h):
    newer = h['version'] > 1
    o = b''.join(enc_varint(h[n]) for n, _ in FIELDS)
    o += bytes([len(h['sides'])]) if newer else b''
    o += b''.join(enc_varint(s) for s in h['sides']) + enc_varint(h['P'])
    o += f4(h['omega']) + f4(h['lambda']) + bytes([int(h['shared']), h['kind']])
    o += b''.join(enc_varint(s) for s in h['cell'] or ()) + enc_varint(h['draw_seed'])
    o += bytes(h['schemes']) + (bytes([h['type']]) if newer else b'')
    o += b''.join(f4(scale) + f4(offset) for scale, offset in h['scaling'])
    o += enc_str(h['labels']) + bytes([h['G']]) + enc_str(h['data_set']) + enc_str(h['producer'])
    o += enc_varint(h['seed']) + enc_varint(h['outer']) + enc_opt(h['acc']) + enc_opt(h['psnr'])
    return o


def layout(h):
    """[(name, kind, shape, part)], kind: plain / matrix / vector"""
    D, L, C, B, K, M = h['D'], h['L'], h['C'], h['B'], h['K'], h['mlp'] * h['D']
    out = []

    def siren(pre, part):
        for l in range(L + 1):
            out.append((f'{pre}W{l}', 'plain', (len(h['sides']), D), part) if l == 0 else (f'{pre}W{l}', 'matrix', (D, D), part))
            out.append((f'{pre}b{l}', 'vector', (D,), part))

    siren('', 0)
    out.append(('Wo', 'plain', (D, C), 0))
    out.append(('bo', 'vector', (C,), 0))
    out.append(('out_scale', 'vector', (C,), 0))
    for j in range(1 if h['shared'] else h['k']):
        siren(f'a{j}.', 1)
    for l in range(1, L + 1):
        out.append((f'beta{l}', 'matrix', (D + 1, D), 2))
    T = 3

    def lin(n, i, o):
        out.append((n + '.w', 'matrix', (i, o), T))
        out.append((n + '.b', 'vector', (o,), T))

    lin('pin', D + 1, D)
    for b in range(B):
        p = f'B{b}.'
        for n in ('n1w', 'n1b'):
            out.append((p + n, 'vector', (D,), T))
        for n in ('q', 'k', 'v'):
            out.append((p + n, 'matrix', (D, D), T))
        lin(p + 'o', D, D)
        out.append((p + 'ls1', 'vector', (D,), T))
        for n in ('n2w', 'n2b'):
            out.append((p + n, 'vector', (D,), T))
        lin(p + 'm1', D, M)
        lin(p + 'm2', M, D)
        out.append((p + 'ls2', 'vector', (D,), T))
    lin('log', D, K)
    return out


def parse(b, golden=True):
    if len(b) < 8 or b[:8] != MAGIC:
        raise Bad('magic')
    if len(b) < 24 + 4:
        raise Bad('short')
    ver, zero, total, hl = struct.unpack('<HHQI', b[8:24])
    if ver not in (1, 2):
        raise Bad('version')
    if total != len(b):
        raise Bad('length')
    if zlib.crc32(b[:-4]) != struct.unpack('<I', b[-4:])[0]:
        raise Bad('crc')
    if zero:
        raise Bad('zero')
    body = b[:-4]
    c = Cur(body)
    c.i = 24
    h = parse_header(c.take(hl), ver)
    check_header(h)
    raw = {}
    val = {}
    for name, kind, shape, part in layout(h):
        n = math.prod(shape)
        sch = h['schemes'][part] if kind == 'matrix' else 2
        if sch == 0:
            s = np.frombuffer(c.take(4 * shape[1]), '<f4')
            q = np.frombuffer(c.take(n), 'i1').reshape(shape)
            if (s < 0).any() or not np.isfinite(np.float32(127) * s).all():
                raise Bad('int8 scale ' + name)
            if (q == -128).any():
                raise Bad('-128 ' + name)
            raw[name] = (0, s, q)
            val[name] = (q.astype('f4') * s[None, :]).astype('f4')
        elif sch == 1:
            x = np.frombuffer(c.take(2 * n), '<f2').reshape(shape)
            raw[name] = (1, x)
            val[name] = x.astype('f4')
        else:
            x = np.frombuffer(c.take(4 * n), '<f4').reshape(shape)
            raw[name] = (2, x)
            val[name] = x
        if not np.isfinite(val[name]).all():
            raise Bad('not finite ' + name)
    gold = []
    for g in range(h['G']):
        numbers, dtype = positions(h) * h['C'], np.dtype(TYPES[h['type']])
        im = np.frombuffer(c.take(numbers * dtype.itemsize), dtype).reshape(*h['sides'], h['C'])
        lg = np.frombuffer(c.take(4 * h['K']), '<f4')
        if not np.isfinite(lg).all():
            raise Bad('golden logits')
        gold.append((im, lg))
    if c.i != len(body):
        raise Bad('trailing')
    return dict(h=h, raw=raw, val=val, gold=gold)


def finish(header, body, version=1, zero=0, total=None, hl=None):
    t = 24 + len(header) + len(body) + 4
    b = (
        MAGIC
        + struct.pack('<HHQI', version, zero, t if total is None else total, len(header) if hl is None else hl)
        + header
        + body
    )
    return b + struct.pack('<I', zlib.crc32(b))


def write(m):
    o = []
    for name, kind, shape, part in layout(m['h']):
        r = m['raw'][name]
        if r[0] == 0:
            o.append(r[1].astype('<f4').tobytes() + r[2].astype('i1').tobytes())
        elif r[0] == 1:
            o.append(r[1].astype('<f2').tobytes())
        else:
            o.append(r[1].astype('<f4').tobytes())
    for im, lg in m['gold']:
        o.append(im.tobytes() + lg.astype('<f4').tobytes())
    return finish(enc_header(m['h']), b''.join(o), m['h']['version'])


# ---------- draw
M32 = 0xFFFFFFFF


def mix(x):
    x &= M32
    x ^= x >> 16
    x = x * 0x7FEB352D & M32
    x ^= x >> 15
    x = x * 0x846CA68B & M32
    x ^= x >> 16
    return x


def perm(key, i, n):
    b = max(2, (n - 1).bit_length())
    lb = b // 2
    hb = b - lb
    lm = (1 << lb) - 1
    hm = (1 << hb) - 1
    x = i
    while True:
        lo = x & lm
        hi = x >> lb
        for r in range(3):
            hi ^= mix(lo + key + r * 0x9E3779B9) & hm
            lo ^= mix(hi + (~key & M32) + r * 0x85EBCA6B) & lm
        x = hi << lb | lo
        if x < n:
            return x


def place(h, j, i):
    """The position at place i of step j's order."""
    n, P, seed = positions(h), h['P'], h['draw_seed']
    if h['kind'] == 0:
        return perm(mix(seed ^ mix(j + 1)), i, n)
    if h['kind'] == 1:
        return perm(seed, (j * P + i) % n, n)
    c = i % P
    first = [int(at) * cell for at, cell in zip(np.unravel_index(c, cells(h)), h['cell'])]
    inside = [min(cell, side - at) for cell, side, at in zip(h['cell'], h['sides'], first)]
    m = math.prod(inside)
    at = np.unravel_index(perm(mix(seed ^ mix(c + 1)), (j + i // P) % m, m), inside)
    return int(np.ravel_multi_index([a + b for a, b in zip(first, at)], h['sides']))


def draw(h, j, there=None):
    """The positions that step j looks at; there[position] is False where a sample is missing."""
    n, reach = positions(h), h['P']
    if there is not None:
        if not there.any():
            raise Bad('no sample')
        reach = min(n, -(-h['P'] * n // int(there.sum())))
    drawn = np.array([place(h, j, i) for i in range(reach)])
    if there is not None:
        drawn = drawn[there[drawn]]
    return drawn if len(drawn) else np.flatnonzero(there)


# ---------- fit
def coords(sides):
    axes = [np.zeros(1) if m == 1 else -1 + 2 * np.arange(m) / (m - 1) for m in sides]
    return np.stack(np.meshgrid(*axes, indexing='ij'), -1).reshape(-1, len(sides))


_erf = np.vectorize(math.erf)


def gelu(x):
    return x * 0.5 * (1 + _erf(x / math.sqrt(2)))


def fit(m, img, dt=np.float64, draws=None, there=None):
    """W and b after k steps; NaN in a channel says that the sample is missing, as there[position] does."""
    h = m['h']
    L, C = h['L'], h['C']
    om = dt(h['omega'])
    X = coords(h['sides']).astype(dt)
    scaling = np.array([h['scaling'][c % len(h['scaling'])] for c in range(C)]).astype(dt)
    t = img.reshape(-1, C).astype(dt) * scaling[:, 0] + scaling[:, 1]
    if np.isnan(t).any():
        known = ~np.isnan(t).any(1)
        there = known if there is None else there & known
    v = m['val']
    W = [v[f'W{l}'].astype(dt) for l in range(L + 1)]
    b = [v[f'b{l}'].astype(dt) for l in range(L + 1)]
    Wo, bo, s = (v[n].astype(dt) for n in ('Wo', 'bo', 'out_scale'))
    for j in range(h['k']):
        ix = draw(h, j, there) if draws is None else draws[j]
        P = len(ix)
        hs = [X[ix]]
        zs = []
        for l in range(L + 1):
            z = hs[-1] @ W[l] + b[l]
            if l == 0:
                z = om * z
            zs.append(z)
            hs.append(np.sin(z))
        e = (hs[-1] @ Wo + bo) * s - t[ix]
        d = (2 / (P * C)) * (e * s) @ Wo.T
        ja = 0 if h['shared'] else j
        new = []
        for l in range(L, -1, -1):
            dz = d * np.cos(zs[l])
            if l == 0:
                dz = dz * om
            gW = hs[l].T @ dz
            gb = dz.sum(0)
            d = dz @ W[l].T
            new.append((l, gW, gb))
        for l, gW, gb in new:
            W[l] = W[l] - v[f'a{ja}.W{l}'].astype(dt) * gW
            b[l] = b[l] - v[f'a{ja}.b{l}'].astype(dt) * gb
    return W, b


def ln(x, w, b):
    mu = x.mean(-1, keepdims=True)
    va = ((x - mu) ** 2).mean(-1, keepdims=True)
    return (x - mu) / np.sqrt(va + 1e-5) * w + b


def tokens(m, W, b, dt=np.float64):
    h = m['h']
    v = m['val']
    out = []
    for l in range(1, h['L'] + 1):
        d = np.concatenate([W[l] - v[f'W{l}'].astype(dt), (b[l] - v[f'b{l}'].astype(dt))[None]], 0) + v[
            f'beta{l}'
        ].astype(dt)
        out.append(d.T)
    return dt(h['lambda']) * np.concatenate(out, 0)


def classify(m, tok, dt=np.float64):
    h = m['h']
    v = {n: a.astype(dt) for n, a in m['val'].items()}
    D = h['D']
    hd = 64 if D >= 64 else D
    nh = D // hd
    x = tok @ v['pin.w'] + v['pin.b']
    T = len(x)
    for bl in range(h['B']):
        p = f'B{bl}.'
        y = ln(x, v[p + 'n1w'], v[p + 'n1b'])
        q, k, vv = ((y @ v[p + n]).reshape(T, nh, hd).transpose(1, 0, 2) for n in 'qkv')
        a = q @ k.transpose(0, 2, 1) * hd**-0.5
        a = np.exp(a - a.max(-1, keepdims=True))
        a /= a.sum(-1, keepdims=True)
        o = (a @ vv).transpose(1, 0, 2).reshape(T, D)
        x = x + v[p + 'ls1'] * (o @ v[p + 'o.w'] + v[p + 'o.b'])
        y = ln(x, v[p + 'n2w'], v[p + 'n2b'])
        x = x + v[p + 'ls2'] * (gelu(y @ v[p + 'm1.w'] + v[p + 'm1.b']) @ v[p + 'm2.w'] + v[p + 'm2.b'])
    return x.mean(0) @ v['log.w'] + v['log.b']


def logits(m, img, dt=np.float64, there=None):
    W, b = fit(m, img, dt, there=there)
    return classify(m, tokens(m, W, b, dt), dt)


if __name__ == '__main__':
    for f in sys.argv[1:]:
        data = open(f, 'rb').read()
        m = parse(data)
        h = dict(m['h'])
        print(f, len(data), {k: (float(v) if isinstance(v, np.floating) else v) for k, v in h.items()})
        print('  rewritten identical:', write(m) == data)
        for im, lg in m['gold']:
            for dt in (np.float64, np.float32):
                o = logits(m, im, dt)
                print(
                    '  ',
                    dt.__name__,
                    'max |diff|',
                    np.abs(o - lg).max(),
                    'max|logit|',
                    np.abs(lg).max(),
                    'argmax',
                    o.argmax(),
                    lg.argmax(),
                )
