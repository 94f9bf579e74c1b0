"""What the bundles of tests/conformance are expected to give, computed in float64 by mwt_reader.py.

    cargo test -p mwt-infer --test conformance write_bundles -- --ignored    # the bundles, from a fixed seed
    python tools/reference/conformance.py write                              # what is expected of them, beside them
    python tools/reference/conformance.py check                              # computes it again and compares
    python tools/reference/conformance.py golden                             # tests/fixtures/golden-v*.mwt

Each NAME.safetensors holds `inputs` (numbers as an application has them, NaN where a sample is missing; f32) and for each
input `logits.N`, and of models below dim 64 `phi.N` and `tokens.N`, rounded to f32 from float64. Both commands also make each of the mistakes in
MISTAKES, one at a time, and fail unless the set tells all of them apart. Needs numpy and safetensors.
"""

import math
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

import mwt_reader as R

TOLERANCE = 2e-5  # of a tensor's largest value, in mwt-infer's test
FOLDER = Path(__file__).parents[2] / 'tests/conformance'


def inputs(h):
    """A whole signal, one with a third of its samples missing, and one with three samples left."""
    n, C = R.positions(h), h['C']
    t = np.arange(n)[:, None] * (0.31 + 0.17 * np.arange(C)) + 0.5 * np.arange(C)
    whole = 127.5 + 120 * np.sin(t) if h['type'] == 0 else 90 * np.sin(t)
    whole = np.round(whole) if h['type'] < 2 else whole
    third, few = whole.copy(), whole.copy()
    third[[i for i in range(n) if i % 3 == 1]] = np.nan
    few[[i for i in range(n) if i not in (1, n // 2, n - 2)]] = np.nan
    return np.stack([whole, third, few]).astype(np.float32)


def expected(m, numbers):
    out = {'inputs': numbers}
    for i, signal in enumerate(numbers):
        W, b = R.fit(m, signal)
        tokens = R.tokens(m, W, b)
        if m['h']['D'] < 64:
            out[f'phi.{i}'] = np.concatenate([np.concatenate([w.ravel(), v]) for w, v in zip(W, b)])
            out[f'tokens.{i}'] = tokens
        out[f'logits.{i}'] = R.classify(m, tokens)
    return {name: np.ascontiguousarray(value, dtype=np.float32) for name, value in out.items()}


def tanh_gelu(x):
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def norm(eps, unbiased=False):
    def ln(x, w, b):
        va = x.var(-1, keepdims=True, ddof=int(unbiased))
        return (x - x.mean(-1, keepdims=True)) / np.sqrt(va + eps) * w + b

    return ln


def flipped(sides):
    return R_coords(sides)[:, ::-1] if len(sides) > 1 else -R_coords(sides)


def centred(sides):
    axes = [(2 * np.arange(m) + 1) / m - 1 for m in sides]
    return np.stack(np.meshgrid(*axes, indexing='ij'), -1).reshape(-1, len(sides))


def no_wrap(h, j, i):
    return R_place({**h, 'P': 0}, j, i) if h['kind'] == 1 else R_place(h, j, i)


def gaps(h, j, there=None):
    """Each step does without what is missing, instead of going on."""
    drawn = R_draw(h, j)
    drawn = drawn if there is None else drawn[there[drawn]]
    return drawn if len(drawn) else np.flatnonzero(there)


R_coords, R_place, R_draw = R.coords, R.place, R.draw
MISTAKES = {
    'gelu by tanh': ('gelu', tanh_gelu),
    'layer norm with an epsilon of 1e-6': ('ln', norm(1e-6)),
    'layer norm with the unbiased variance': ('ln', norm(1e-5, unbiased=True)),
    'axes in the other order': ('coords', flipped),
    'coordinates at the centres of cells': ('coords', centred),
    'every step begins at the first place': ('place', no_wrap),
    'steps do not go on where samples are missing': ('draw', gaps),
    'permutations of another key': ('mix', lambda x: x & 0xFFFFFFFF),
}


def golden():
    """Bundles of each version with golden samples whose logits are those of this program."""
    for version, name in (1, 'rgb-partition'), (2, 'series'):
        m = R.parse((FOLDER / f'{name}.mwt').read_bytes())
        h = m['h']
        assert h['version'] == version
        dtype = np.dtype(R.TYPES[h['type']])
        # The second turned round, so that they differ.
        signals = [signal.reshape(*h['sides'], h['C']).astype(dtype) for signal in (inputs(h)[0], inputs(h)[0][::-1])]
        m['gold'] = [(signal, R.logits(m, signal)) for signal in signals]
        h['G'] = len(signals)
        (FOLDER.parent / f'fixtures/golden-v{version}.mwt').write_bytes(R.write(m))


def distance(a, b):
    size = max(1.0, np.abs(b).max())
    return np.abs(a.astype(np.float64) - b).max() / size


def main():
    if sys.argv[1:] == ['golden']:
        return golden()
    if sys.argv[1:] not in (['write'], ['check']):
        raise SystemExit(__doc__)
    files = sorted(FOLDER.glob('*.mwt'))
    if not files:
        raise SystemExit(f'no bundle in {FOLDER}')
    caught = {}
    for path in files:
        data = path.read_bytes()
        m = R.parse(data)
        if R.write(m) != data:
            raise SystemExit(f'{path.name}: writing it again gives other bytes')
        right = expected(m, inputs(m['h']))
        beside = path.with_suffix('.safetensors')
        if sys.argv[1] == 'write':
            save_file(right, beside)
        stored = load_file(beside)
        worst = max(distance(right[name], stored[name]) for name in right if name != 'inputs')
        if worst > 1e-6 or not np.array_equal(right['inputs'], stored['inputs'], equal_nan=True):
            raise SystemExit(f'{path.name}: {worst:.1e} from what is stored')
        for mistake, (name, wrong) in MISTAKES.items():
            kept = getattr(R, name)
            setattr(R, name, wrong)
            try:
                made = expected(m, right['inputs'])
            finally:
                setattr(R, name, kept)
            off = max(distance(made[key], right[key]) for key in right if key.startswith('logits'))
            caught[mistake] = max(caught.get(mistake, 0), off)
        print(f'{path.name}: {worst:.1e} from what is stored')
    for mistake, off in caught.items():
        print(f'{mistake}: moves logits by {off:.1e}')
    missed = [mistake for mistake, off in caught.items() if off < 5 * TOLERANCE]
    if missed:
        raise SystemExit(f'the set does not tell apart: {", ".join(missed)}')


if __name__ == '__main__':
    main()
