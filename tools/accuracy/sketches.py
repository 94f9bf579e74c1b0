"""Sketches of three kinds, as somebody would draw them: a small data set of own pictures.

    python tools/accuracy/sketches.py sketches [--train 20] [--test 300]

Writes train/ and test/ with a folder for each of circle, square and triangle: white strokes on black, 28x28, each
corner and point of the outline moved a little, turned by up to 25 degrees, of any size from half to nearly all of the
picture. Needs numpy and pillow.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

SIDE, FINE = 28, 4
CORNERS = {'circle': 0, 'square': 4, 'triangle': 3}


def outline(corners, random):
    """Points of the outline, of radius 1."""
    if corners == 0:
        angles = np.linspace(0, 2 * np.pi, 20)
        return np.stack([np.cos(angles), np.sin(angles)], 1) * random.uniform(0.75, 1, 2)
    angles = 2 * np.pi * (np.arange(corners + 1) / corners + 1 / (2 * corners))
    points = np.stack([np.sin(angles), np.cos(angles)], 1)
    # A closing line seldom meets its beginning.
    return points + random.normal(0, 0.09, points.shape)


def sketch(corners, random):
    turn = np.radians(random.uniform(-25, 25))
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    points = outline(corners, random) @ rotation + random.normal(0, 0.03, (1, 2))
    radius = SIDE * FINE * random.uniform(0.25, 0.42)
    centre = SIDE * FINE / 2 + random.uniform(-1, 1, 2) * (SIDE * FINE / 2 - radius) * 0.6
    image = Image.new('L', (SIDE * FINE, SIDE * FINE))
    line = [tuple(p) for p in points * radius + centre]
    ImageDraw.Draw(image).line(line, fill=255, width=int(FINE * random.uniform(1.5, 3)), joint='curve')
    return image.resize((SIDE, SIDE), Image.Resampling.BOX)


def main():
    p = argparse.ArgumentParser()
    p.add_argument('folder', type=Path)
    p.add_argument('--train', type=int, default=20, help='pictures of each kind to train on')
    p.add_argument('--test', type=int, default=300, help='and to test on')
    options = p.parse_args()
    random = np.random.default_rng(0)
    for split, count in ('train', options.train), ('test', options.test):
        for kind, corners in CORNERS.items():
            folder = options.folder / split / kind
            folder.mkdir(parents=True, exist_ok=True)
            for n in range(count):
                sketch(corners, random).save(folder / f'{n:03}.png')


if __name__ == '__main__':
    main()
