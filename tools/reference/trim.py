"""Cuts the full golden vectors (golden.py's) down to what tests/fixtures holds and the tests read.

    python tools/reference/trim.py target/golden                   # writes into tests/fixtures
    python tools/reference/trim.py target/golden target/trimmed    # or into another folder

Of `micro` only its gradients, its final values and the first outer step's pixels stay. The expected values are those of
the float64 run, stored as float32. micro.pt and nano_step3.pt are copied as they are.

Needs numpy and safetensors (tools/requirements.txt).
"""

import shutil
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

# Of a series and a volume what their axes have a part in.
AXES = lambda key: (
    key.startswith("grad.")
    or key in ("loss_per_step", "offset.2", "offset.3", "tokens", "logits", "cls_loss", "recon_loss", "psnr_sampled", "psnr_all")
)
KEEP = {
    "nano": lambda key: True,
    "line": AXES,
    "cube": AXES,
    "micro": lambda key: (
        key.startswith("grad.")
        or key
        in ("loss_per_step", "offset.4", "tokens", "logits", "cls_loss", "recon_loss", "psnr_sampled", "psnr_all")
    ),
}


def main():
    if len(sys.argv) not in (2, 3):
        raise SystemExit(__doc__)
    source = Path(sys.argv[1])
    target = Path(sys.argv[2]) if len(sys.argv) > 2 else Path(__file__).parents[2] / "tests/fixtures"
    target.mkdir(parents=True, exist_ok=True)
    for name, keep in KEEP.items():
        weights = load_file(source / f"{name}.weights.safetensors")
        inputs = load_file(source / f"{name}.inputs.safetensors")
        if name != "nano":
            inputs["indices"] = np.ascontiguousarray(inputs["indices"][:1])
        # The float64 run is the truth; the tests compare float32 programs with it.
        expect = {
            key[4:]: value.astype(np.float32)
            for key, value in load_file(source / f"{name}.expect.safetensors").items()
            if key.startswith("f64.") and keep(key[4:]) and not key.startswith(("f64.phi", "f64.grad_"))
        }
        for kind, tensors in (("weights", weights), ("inputs", inputs), ("expect", expect)):
            save_file(tensors, target / f"{name}.{kind}.safetensors")
    for name in ("micro.pt", "nano_step3.pt"):
        shutil.copyfile(source / name, target / name)


if __name__ == "__main__":
    main()
