"""Another reader's verdict on mutated bundles, and its logits of those that both accept.

    MWT_ORACLE=$PWD/target/verdicts cargo test -p mwt-infer --test fuzz write_verdicts -- --ignored
    python tools/reference/oracle.py target/verdicts

The file is described at `write_verdicts` in mwt-infer/tests/fuzz.rs. A difference of logits counts where it is beyond what
rounding explains: beyond 1e-3 of their size, and beyond fifty times what the least change of the numbers that f32 knows moves
them in float64. Needs numpy.
"""

import struct
import sys

import numpy as np

import mwt_reader as R

TOLERANCE = 1e-3


def records(data):
    at = 0
    while at < len(data):
        (length,) = struct.unpack_from('<I', data, at)
        bundle = data[at + 4 : at + 4 + length]
        at += 4 + length
        (count,) = struct.unpack_from('<I', data, at)
        values = 0 if count == 0xFFFFFFFF else count
        yield bundle, count, np.frombuffer(data, '<f4', values, at + 4)
        at += 4 + 4 * values


def distance(a, b):
    return np.abs(a - b).max() / max(1, np.abs(b).max())


def main():
    counts, worst, wrong = {'refused': 0, 'accepted': 0, 'compared': 0, 'ill-conditioned': 0}, 0, 0
    with open(sys.argv[1], 'rb') as file:
        data = file.read()
    for n, (bundle, count, logits) in enumerate(records(data)):
        try:
            with np.errstate(all='ignore'):
                m = R.parse(bundle)
        except R.Bad as bad:
            m, why = None, bad
        if (m is None) != (count == 0):
            wrong += 1
            print(f'record {n}: mwt-infer {"refuses" if count == 0 else "accepts"} it, this reader says {why if m is None else "yes"}')
            continue
        counts['refused' if m is None else 'accepted'] += 1
        if not len(logits):
            continue
        h = m['h']
        numbers = ((37 * np.arange(R.positions(h) * h['C']) + 11) % 256).reshape(-1, h['C']).astype(np.float64)
        with np.errstate(all='ignore'):
            ours = R.logits(m, numbers)
            off = distance(logits.astype(np.float64), ours)
        if not off <= TOLERANCE:
            with np.errstate(all='ignore'):
                moved = max(distance(R.logits(m, numbers * (1 + s * 2.0**-24)), ours) for s in (-1, 1))
                rounded = distance(R.logits(m, numbers, np.float32).astype(np.float64), ours)
            if not off <= 50 * max(moved, rounded):
                wrong += 1
                print(f'record {n}: logits differ by {off:.1e}; {moved:.1e} by rounding of numbers, {rounded:.1e} in f32')
            counts['ill-conditioned'] += 1
            continue
        worst = max(worst, off)
        counts['compared'] += 1
    print(', '.join(f'{count} {what}' for what, count in counts.items()), f'; largest difference {worst:.1e}')
    raise SystemExit(bool(wrong))


if __name__ == '__main__':
    main()
