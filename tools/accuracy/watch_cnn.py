"""A small 1-D CNN on wrist-sensor series with samples missing: what a classifier of series has to beat.

    python tools/accuracy/watch_cnn.py watch_dataset.npy [EPOCHS]       # 15 unless given

watch_dataset.npy comes with the package seglearn 1.2.5 (seglearn/data). Windows of 100 samples, one every 50, of three
accelerations; the people numbered 8 to 10 are the test set. Prints the accuracy with 25 to 90 % of the samples missing,
filled with zeros or by linear interpolation.

Needs numpy and torch (tools/requirements.txt).
"""

import sys
import numpy as np, torch, torch.nn as nn

WINDOW, STRIDE, CHANNELS = 100, 50, 3


def windows(path):
    d = np.load(path, allow_pickle=True).item()
    people = np.array(d['subject'])
    test = set(np.unique(people)[7:])
    out = {True: ([], []), False: ([], [])}
    for x, label, person in zip(d['X'], d['y'], people):
        for a in range(0, len(x) - WINDOW + 1, STRIDE):
            xs, ys = out[person in test]
            xs.append(x[a : a + WINDOW, :CHANNELS].T)
            ys.append(label)
    f = lambda part: (torch.tensor(np.array(out[part][0], dtype='f4')), torch.tensor(np.array(out[part][1])))
    return f(False), f(True)


def net(classes):
    conv = lambda i, o, k: [nn.Conv1d(i, o, k, padding=k // 2), nn.BatchNorm1d(o), nn.ReLU()]
    return nn.Sequential(
        *conv(CHANNELS, 32, 7),
        nn.MaxPool1d(2),
        *conv(32, 64, 5),
        nn.MaxPool1d(2),
        *conv(64, 64, 3),
        nn.AdaptiveAvgPool1d(1),
        nn.Flatten(),
        nn.Linear(64, classes),
    )


def interpolate(x, there):
    x = x.clone().numpy()
    for n in range(len(x)):
        at = np.where(there[n])[0]
        for c in range(CHANNELS):
            x[n, c] = np.interp(np.arange(WINDOW), at, x[n, c, at]) if len(at) else 0
    return torch.tensor(x)


def main():
    torch.manual_seed(0)
    torch.set_num_threads(1)
    (xt, yt), (xe, ye) = windows(sys.argv[1])
    epochs = int(sys.argv[2]) if len(sys.argv) > 2 else 15
    mean, std = xt.mean((0, 2), keepdim=True), xt.std((0, 2), keepdim=True)
    xt, xe = (xt - mean) / std, (xe - mean) / std
    model = net(int(yt.max()) + 1)
    opt = torch.optim.AdamW(model.parameters(), 2e-3, weight_decay=1e-2)
    for _ in range(epochs):
        model.train()
        order = torch.randperm(len(xt))
        for i in range(0, len(xt), 64):
            b = order[i : i + 64]
            loss = nn.functional.cross_entropy(model(xt[b]), yt[b])
            opt.zero_grad()
            loss.backward()
            opt.step()
    model.eval()
    with torch.no_grad():
        right = lambda x: 100 * (model(x).argmax(1) == ye).float().mean().item()
        print(
            f'{len(xt)} and {len(xe)} windows, {sum(p.numel() for p in model.parameters())} weights;'
            f' complete {right(xe):.1f} %'
        )
        for missing in (0.25, 0.5, 0.75, 0.9):
            there = torch.rand(len(xe), WINDOW, generator=torch.Generator().manual_seed(1)) > missing
            print(
                f'missing {missing}: zeros {right(xe * there[:, None]):.1f} %,'
                f' interpolated {right(interpolate(xe, there.numpy())):.1f} %'
            )


if __name__ == '__main__':
    main()
