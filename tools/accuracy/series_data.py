"""Turns two published sets of series into .npz archives that mwt-train reads.

    python tools/accuracy/series_data.py mnist1d mnist1d.npz
    python tools/accuracy/series_data.py watch watch_dataset.npy watch.npz [--copies 5 --angle 45 --stretch 0.25 ...]

mnist1d: 4 000 training and 1 000 test series of 40 samples, as make_dataset of the package mnist1d makes them.

watch: watch_dataset.npy of seglearn 1.2.5, cut as watch_cnn.py cuts it. The people whom --test names are X_test, those
of 1 to 7 who are not are X_train, so that 8 to 10 are seen only where they are named. --copies adds altered copies of
each training window: begun elsewhere, played faster or slower, with larger or smaller movements about the mean, as
the other wrist would see it, and turned about a random axis. The test windows are left as they are.

Needs numpy, and for mnist1d the package of that name.
"""

import argparse
import numpy as np

WINDOW, STRIDE, CHANNELS, LAST = 100, 50, 3, (8, 9, 10)


def mnist1d():
    from mnist1d.data import get_dataset_args, make_dataset

    d = make_dataset(get_dataset_args())
    return d['x'][:, None], d['y'], d['x_test'][:, None], d['y_test']


def turn(angle, random):
    """A turn by an angle of at most so many degrees about an axis of any direction (Rodrigues' formula)."""
    x, y, z = (v := random.normal(size=3)) / np.linalg.norm(v)
    k = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    a = np.radians(random.uniform(-angle, angle))
    return np.eye(3) + np.sin(a) * k + (1 - np.cos(a)) * k @ k


def altered(recording, start, options, random):
    """A copy of the window at `start`, or None where it would end outside of the recording."""
    start = max(0, start + random.uniform(-STRIDE / 2, STRIDE / 2))
    at = start + (1 + random.uniform(-options.stretch, options.stretch)) * np.arange(WINDOW)
    if at[-1] > len(recording) - 1:
        return None
    w = np.array([np.interp(at, np.arange(len(recording)), recording[:, c]) for c in range(CHANNELS)])
    if options.mirror and random.random() < 0.5:
        w[0] = -w[0]
    mean = w.mean(1, keepdims=True)
    w = mean + (w - mean) * np.exp(random.uniform(-options.swing, options.swing))
    return turn(options.angle, random) @ w


def watch(options):
    d = np.load(options.paths[0], allow_pickle=True).item()
    people = {name: i + 1 for i, name in enumerate(np.unique(d['subject']))}
    test = [int(person) for person in options.test.split(',')]
    random = np.random.default_rng(0)
    train, held = [], []
    for recording, label, name in zip(d['X'], d['y'], d['subject']):
        person = people[name]
        for start in range(0, len(recording) - WINDOW + 1, STRIDE):
            window = recording[start : start + WINDOW, :CHANNELS].T
            if person in test:
                held.append((window, label))
            elif person not in LAST:
                train.append((window, label))
                copies = (altered(recording, start, options, random) for _ in range(options.copies))
                train.extend((copy, label) for copy in copies if copy is not None)
    return *map(np.array, zip(*train)), *map(np.array, zip(*held))


def main():
    p = argparse.ArgumentParser()
    p.add_argument('set', choices=['mnist1d', 'watch'])
    p.add_argument('paths', nargs='+', help='the input, if any, and the archive to write')
    p.add_argument('--test', default='8,9,10', help='people who are the test set')
    p.add_argument('--copies', type=int, default=0, help='altered copies of each training window')
    p.add_argument('--angle', type=float, default=0, help='largest turn, in degrees')
    p.add_argument('--stretch', type=float, default=0, help='largest relative change of the speed')
    p.add_argument('--swing', type=float, default=0, help="largest logarithm of the movements' factor")
    p.add_argument('--mirror', action='store_true', help='reverse the first axis of half of the copies')
    options = p.parse_args()
    x, y, xe, ye = mnist1d() if options.set == 'mnist1d' else watch(options)
    series = lambda v: np.asarray(v, 'f4')
    labels = lambda v: np.asarray(v, 'i4')
    np.savez(options.paths[-1], X_train=series(x), y_train=labels(y), X_test=series(xe), y_test=labels(ye))
    print(f'{options.paths[-1]}: {len(x)} training and {len(xe)} test series')


if __name__ == '__main__':
    main()
