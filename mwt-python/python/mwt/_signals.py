"""Signals in all the forms in which Python programs have them, as the model's."""

from __future__ import annotations

import sys
import warnings
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

# The model's types of numbers, little-endian.
TYPES: dict[str, np.dtype[Any]] = {"u8": np.dtype("u1"), "i16": np.dtype("<i2"), "f32": np.dtype("<f4")}


class Shape(NamedTuple):
    """What a model takes: the sides of its grid, its channels, and the type of its own samples' numbers."""

    sides: tuple[int, ...]
    channels: int
    sample: str

    def size(self) -> int:
        return int(np.prod(self.sides)) * self.channels

    def one(self) -> tuple[int, ...]:
        """The shape of one signal; without channels where there is but one."""
        return self.sides if self.channels == 1 else (*self.sides, self.channels)


class Signals(NamedTuple):
    """Signals as the native part takes them."""

    sample: str
    numbers: bytes
    n: int
    single: bool


def as_array(x: Any) -> npt.NDArray[Any]:
    """What a caller has, as an array of a type that numbers come in."""
    if isinstance(x, np.ma.MaskedArray):
        return np.asarray(np.ma.filled(x.astype(np.float32), np.nan))
    if hasattr(x, "__dlpack__") and not hasattr(x, "__array__"):
        x = np.from_dlpack(x)
    array = np.asarray(x)
    if array.dtype == object:
        # Missing values of pandas' own types.
        frame = hasattr(x, "to_numpy")
        array = x.to_numpy(dtype=np.float32, na_value=np.nan) if frame else array.astype(np.float32)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"signals of type {array.dtype}: numbers are needed")
    return array


def as_signals(x: Any, shape: Shape) -> Signals:
    """One signal or a batch, checked against what the model takes."""
    array = as_array(x)
    array, single = _one_or_many(array, shape)
    sample = {"uint8": "u8", "int16": "i16"}.get(array.dtype.name, "f32")
    if shape.sample == "u8" and sample != "u8":
        _warn_of_a_small_range(array)
    with np.errstate(over="ignore"):
        numbers = array.astype(TYPES[sample], copy=False).tobytes()
    return Signals(sample, numbers, array.shape[0], single)


def _one_or_many(array: npt.NDArray[Any], shape: Shape) -> tuple[npt.NDArray[Any], bool]:
    """The array as [signals, numbers], and whether it was one signal."""
    last = (*shape.sides, shape.channels)
    first = (shape.channels, *shape.sides)
    for signal in dict.fromkeys((shape.one(), last, first, (shape.size(),))):
        for single in (True, False):
            if (array.shape if single else array.shape[1:]) != signal:
                continue
            if single:
                array = array[None]
            if signal == first and first != last:
                array = np.moveaxis(array, 1, -1)
            return array.reshape(array.shape[0], shape.size()), single
    one = shape.one()
    many = ", ".join(["n", *map(str, one)])
    raise ValueError(
        f"signals of shape {array.shape}: the model takes {one}, or a batch ({many}); "
        "channels may come first, and each signal may be flat"
    )


def _warn_of_a_small_range(array: npt.NDArray[Any]) -> None:
    finite = array[np.isfinite(array)] if array.dtype.kind == "f" else array
    if finite.size and finite.min() >= 0 and 0 < finite.max() <= 1:
        warnings.warn(
            "the numbers lie in 0..1 and the model takes bytes, 0..255: multiply by 255",
            UserWarning,
            stacklevel=_callers_level(),
        )


def _callers_level() -> int:
    """Frames from the function that warns to the one that called the package."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back and frame.f_globals["__name__"].startswith("mwt."):
        level, frame = level + 1, frame.f_back
    return level
