"""A small 2-D CNN on MNIST or Fashion-MNIST with pixels missing: what missing pixels cost a network that reads pixels.

    python tools/accuracy/missing_cnn.py data/mnist [EPOCHS]     # 3 unless given; the folder has the four idx .gz files

Trains once on complete images and once on images with holes (0 to 90 % of the pixels missing), and prints the accuracy
over the test set with 10 to 90 % missing: filled with black, or by normalised Gaussian interpolation of the pixels that
are there. A classifier of scattered samples (mwt-infer) has to beat it.

Needs numpy and torch (tools/requirements.txt).
"""

import gzip, os, sys
import numpy as np, torch, torch.nn as nn, torch.nn.functional as F


def idx(path, head):
    return np.frombuffer(gzip.open(path).read(), np.uint8, offset=head)


def load(d, part):
    x = idx(os.path.join(d, f'{part}-images-idx3-ubyte.gz'), 16).reshape(-1, 1, 28, 28)
    return torch.tensor(x.astype('f4') / 127.5 - 1), torch.tensor(
        idx(os.path.join(d, f'{part}-labels-idx1-ubyte.gz'), 8).astype('i8')
    )


g = torch.exp(-(torch.arange(-4.0, 5) ** 2) / 2)
KERNEL = (g[:, None] * g[None])[None, None]


def interpolate(x, there):
    w = F.conv2d(there, KERNEL, padding=4)
    v = F.conv2d((x + 1) * there, KERNEL, padding=4) / w.clamp(min=1e-6) - 1
    return torch.where(there > 0, x, v)


def main():
    torch.manual_seed(0)
    d, epochs = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 3
    (xt, yt), (xe, ye) = load(d, 'train'), load(d, 't10k')
    for holes in (False, True):
        net = nn.Sequential(
            nn.Conv2d(1, 12, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(12, 24, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(24 * 49, 32),
            nn.ReLU(),
            nn.Linear(32, 10),
        )
        opt = torch.optim.AdamW(net.parameters(), 2e-3)
        for _ in range(epochs):
            for b in torch.randperm(len(xt)).split(128):
                x = xt[b]
                if holes:
                    x = interpolate(x, (torch.rand_like(x) >= torch.rand(len(b), 1, 1, 1) * 0.9).float())
                loss = F.cross_entropy(net(x), yt[b])
                opt.zero_grad()
                loss.backward()
                opt.step()
        right = lambda x: 100 * (torch.cat([net(p) for p in x.split(1000)]).argmax(1) == ye).float().mean().item()
        with torch.no_grad():
            print(
                'trained',
                'with holes' if holes else 'complete',
                f'({sum(p.numel() for p in net.parameters())} weights): complete {right(xe):.2f} %',
            )
            for missing in (0.1, 0.25, 0.5, 0.75, 0.9):
                there = (torch.rand(xe.shape, generator=torch.Generator().manual_seed(1)) >= missing).float()
                print(
                    f'  missing {missing}: black {right(torch.where(there > 0, xe, torch.tensor(-1.0))):.2f} %,'
                    f' interpolated {right(interpolate(xe, there)):.2f} %'
                )


if __name__ == '__main__':
    main()
