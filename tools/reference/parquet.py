"""Writes the parquet files that mwt-train's reader is tested on, as Hugging Face's library writes them.

    pip install datasets pillow
    python tools/reference/parquet.py mwt-train/tests/fixtures/parquet

Eight images to train on and four to test on, RGB, 6 high and 5 wide, PNG. Image i is all (10 i, 20 i, 30 i); its
class is i mod 3 and its coarse class i mod 2. The label of the last test image is not told.
"""

import sys
from pathlib import Path

import datasets
import numpy as np
from PIL import Image

FEATURES = datasets.Features({
    'img': datasets.Image(),
    'coarse_label': datasets.ClassLabel(names=['even', 'odd']),
    'fine_label': datasets.ClassLabel(names=['zero', 'one', 'two']),
})


def split(first, count, told):
    numbers = range(first, first + count)
    picture = lambda i: Image.fromarray(np.full((6, 5, 3), [10 * i, 20 * i, 30 * i], np.uint8))
    return datasets.Dataset.from_dict({
        'img': [picture(i) for i in numbers],
        'coarse_label': [i % 2 for i in numbers],
        'fine_label': [i % 3 if i - first < told else -1 for i in numbers],
    }, features=FEATURES)


def main():
    folder = Path(sys.argv[1]) / 'data'
    folder.mkdir(parents=True, exist_ok=True)
    split(0, 8, 8).to_parquet(folder / 'train-00000-of-00001.parquet', batch_size=3)
    split(4, 4, 3).to_parquet(folder / 'test-00000-of-00001.parquet')


if __name__ == '__main__':
    main()
