"""Classifies images, series and volumes by fitting them, with Meta Weight Transformer bundles.

>>> import mwt
>>> model = mwt.Model.load("mnist-micro.mwt")
>>> model.predict(image)            # [28, 28], uint8 or float; NaN says that a pixel is missing

The computing is done by mwt-infer, which is Rust; numpy is the only dependency.
"""

from mwt._model import Model, SelfTest, Step
from mwt._native import Error, __version__

__all__ = ["Error", "Model", "SelfTest", "Step", "__version__"]
