"""Compares predict on 10 000 images with mwt-infer's classify_batch, in turns.

cargo build --release --example throughput
python examples/throughput.py ../models/mnist-micro.mwt [IMAGES] [ROUNDS]
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import mwt
import numpy as np

RUST = Path(__file__).parents[1] / "target/release/examples/throughput"


def main(bundle: str, count: int = 10_000, rounds: int = 5) -> None:
    model = mwt.Model.load(bundle)
    samples, _ = model.golden_samples()
    noise = np.random.default_rng(0).integers(0, 32, (count, *model.shape), np.uint8)
    images = np.maximum(samples[np.arange(count) % len(samples)], noise)
    python, rust = [], []
    with tempfile.NamedTemporaryFile(suffix=".raw") as file:
        images.tofile(file.name)
        for _ in range(rounds):
            start = time.perf_counter()
            model.predict(images)
            python.append(time.perf_counter() - start)
            rust.append(float(subprocess.check_output([RUST, bundle, file.name])))
    for name, seconds in (("mwt (Python)", python), ("classify_batch (Rust)", rust)):
        print(f"{name}: {count / min(seconds):.0f} images/s at best, {count / np.median(seconds):.0f} in the median")
    print(
        f"Python / Rust: {min(rust) / min(python):.3f} at best, {np.median(rust) / np.median(python):.3f} in the median"
    )


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
