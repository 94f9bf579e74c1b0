"""A trained model."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Union

import numpy as np
import numpy.typing as npt

from mwt import _native
from mwt._signals import TYPES, Shape, as_signals

Floats = npt.NDArray[np.float32]
#: Anything that numpy takes: arrays, data frames, tensors with ``__array__`` or DLPack, nested lists.
Signals = Any
#: Sides of a grid; one number stands for all of them.
Size = Union[int, Sequence[int], None]


class SelfTest(NamedTuple):
    """What the golden samples of a bundle gave."""

    samples: int
    """Samples tried; 0 when the bundle has none."""
    max_error: float
    """Largest distance of a logit from the trainer's."""


class Step(NamedTuple):
    """A fit after one of its steps."""

    step: int
    """Steps taken, from 1."""
    loss: float
    """Mean squared error on the step's own samples before its update; values are scaled to [-1, 1]."""
    prediction: Any
    """The most likely class, one of ``classes_``."""
    probabilities: Floats
    """[K]"""
    logits: Floats
    """[K]"""
    psnr: float
    """Of the fit over all samples, in dB."""
    reconstruction: Floats | None
    """What the fit draws, when a size was asked for."""


class Model:
    """A trained model, read from a bundle (``*.mwt``).

    Signals are one or many: an array of the model's shape, or a batch of them along the first axis. The shape is the
    model's grid, ``[length]``, ``[height, width]`` or ``[depth, height, width]``, with the channels behind it unless
    there is one alone; channels may also come first, and each signal may be flat. Numbers are those of the training
    data: 0..255 for pictures, of any type; for readings of a sensor its own unit. NaN says that a sample is missing.

    Batches are computed on all cores, or on as many ``threads`` as asked for, without Python's lock; results do not
    depend on the number. A model does not change, so that threads may share one.

    It takes its place in scikit-learn as a classifier and as a transformer that are trained already.
    """

    def __init__(self, bundle: bytes) -> None:
        self._native = _native.Model(bytes(bundle))
        sides, channels, sample = self._native.shape()
        self._shape = Shape(tuple(sides), channels, sample)
        labels = self._native.labels()
        whole = all(label.isascii() and label.isdigit() and str(int(label)) == label for label in labels)
        self.classes_: npt.NDArray[Any] = np.array([int(label) for label in labels] if whole else labels)
        """The K classes by index: integers where every label is one, text otherwise."""

    @classmethod
    def load(cls, source: str | os.PathLike[str] | bytes | bytearray | memoryview) -> Model:
        """A model from a file, or from a bundle's bytes. Raises Error when the bundle is refused."""
        if isinstance(source, (bytes, bytearray, memoryview)):
            return cls(bytes(source))
        with open(source, "rb") as file:
            bundle = file.read()
        try:
            return cls(bundle)
        except _native.Error as error:
            raise _native.Error(f"{os.fspath(source)}: {error}") from None

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one signal."""
        return self._shape.one()

    def decision_function(self, X: Signals, *, threads: int | None = None) -> Floats:
        """The logits: [K] for one signal, [n, K] for a batch."""
        signals, numbers = self._batch(self._native.logits, X, threads)
        return _shaped(numbers, signals, (len(self.classes_),))

    def predict_proba(self, X: Signals, *, threads: int | None = None) -> Floats:
        """The probability of each class: [K] for one signal, [n, K] for a batch."""
        return _softmax(self.decision_function(X, threads=threads))

    def predict(self, X: Signals, *, threads: int | None = None) -> Any:
        """The most likely class, one of ``classes_``; [n] of them for a batch."""
        return self.classes_[self.decision_function(X, threads=threads).argmax(axis=-1)]

    def score(self, X: Signals, y: npt.ArrayLike) -> float:
        """The share of a batch whose class is right."""
        return float(np.mean(self.predict(X) == np.asarray(y)))

    def transform(self, X: Signals, of: str = "tokens", *, threads: int | None = None) -> Floats:
        """The fit of each signal as features, flat: [n, features], or [features] for one signal.

        ``tokens`` are what the Transformer reads, λ(φ - θ + β): a token of D+1 values for each neuron of the hidden
        layers. ``weights`` are φ, the fitted network itself.
        """
        if of not in ("tokens", "weights"):
            raise ValueError(f"of={of!r}: 'tokens' or 'weights'")
        call = self._native.tokens if of == "tokens" else self._native.phi
        signals, numbers = self._batch(call, X, threads)
        return _shaped(numbers, signals, (self._native.lengths()[of == "weights"],))

    def reconstruct(self, X: Signals, size: Size = None, *, threads: int | None = None) -> Floats:
        """What the fit of each signal draws on a grid of ``size``, in the numbers that the model takes.

        The size is the model's own unless given. The result has the shape of a signal of that size; missing samples
        are filled in.
        """
        sides = self._sides(size)
        signals, numbers = self._batch(self._native.reconstruct, X, threads, sides)
        return _shaped(numbers, signals, self._shape._replace(sides=tuple(sides)).one())

    def fit_steps(self, X: Signals, size: Size = None) -> Iterator[Step]:
        """Fits one signal and gives a Step after each of the k steps; stop early by leaving the loop.

        With a ``size`` each step also has what the fit draws.
        """
        signals = as_signals(X, self._shape)
        if signals.n != 1:
            raise ValueError(f"{signals.n} signals: fit_steps takes one")
        sides = None if size is None else self._sides(size)
        return self._steps(self._native.fit(signals.sample, signals.numbers), sides)

    def _steps(self, fit: _native.Fit, sides: list[int] | None) -> Iterator[Step]:
        step = 0
        while (loss := fit.step()) is not None:
            step += 1
            logits = _floats(fit.logits())
            drawn = None
            if sides is not None:
                shape = self._shape._replace(sides=tuple(sides)).one()
                drawn = _floats(fit.reconstruct(sides)).reshape(shape)
            best = self.classes_[logits.argmax()]
            yield Step(step, loss, best, _softmax(logits), logits, fit.psnr(), drawn)

    def golden_samples(self) -> tuple[npt.NDArray[Any], Floats]:
        """The signals that the bundle carries for its self-test, [n, *shape], and the trainer's logits, [n, K]."""
        signals, logits = self._native.golden_samples()
        numbers = np.frombuffer(signals, TYPES[self._shape.sample])
        return numbers.reshape(-1, *self.shape), _floats(logits).reshape(-1, len(self.classes_))

    def self_test(self) -> SelfTest:
        """Classifies the golden samples and compares. Raises Error when a logit is too far from the trainer's."""
        return SelfTest(*self._native.self_test())

    def inspect(self) -> dict[str, Any]:
        """What the bundle holds: configuration, storage, labels, memory, multiply-adds, where it comes from.

        The keys are those of ``mwt-train inspect --json``.
        """
        about: dict[str, Any] = json.loads(self._native.inspect())
        return about

    def to_bytes(self) -> bytes:
        """The bundle."""
        return self._native.to_bytes()

    # Pickles are the bundle.
    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.to_bytes(),)

    def __repr__(self) -> str:
        return f"<mwt.Model: signals {self.shape}, {len(self.classes_)} classes>"

    # What scikit-learn asks of an estimator.

    def fit(self, X: Any = None, y: Any = None) -> Model:
        """Nothing: the model is trained already (by ``mwt-train``). Returns itself."""
        return self

    def fit_transform(self, X: Signals, y: Any = None) -> Floats:
        """As ``transform``."""
        return self.transform(X)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """None: there is nothing to tune."""
        return {}

    def set_params(self, **params: Any) -> Model:
        """Raises ValueError for any parameter."""
        if params:
            raise ValueError(f"a trained model has no parameters, so no {', '.join(params)}")
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_clone__(self) -> Model:
        return self

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import ClassifierTags, InputTags, Tags, TargetTags, TransformerTags

        return Tags(
            estimator_type="classifier",
            target_tags=TargetTags(required=False),
            classifier_tags=ClassifierTags(),
            transformer_tags=TransformerTags(),
            input_tags=InputTags(three_d_array=True, allow_nan=True),
        )

    def _batch(self, call: Any, X: Signals, threads: int | None, *more: Any) -> tuple[Any, Floats]:
        if threads is not None and threads < 1:
            raise ValueError(f"threads={threads}: at least 1, or None for all cores")
        signals = as_signals(X, self._shape)
        numbers = _floats(call(signals.sample, signals.numbers, threads or 0, *more))
        return None if signals.single else signals.n, numbers

    def _sides(self, size: Size) -> list[int]:
        if size is None:
            return list(self._shape.sides)
        axes = len(self._shape.sides)
        sides = [size] * axes if isinstance(size, (int, np.integer)) else list(size)
        if len(sides) != axes or any(side < 1 for side in sides):
            raise ValueError(f"size={size!r}: {axes} sides of at least 1, or one number for all of them")
        return [int(side) for side in sides]


def _floats(numbers: bytearray) -> Floats:
    return np.frombuffer(numbers, TYPES["f32"])


def _shaped(numbers: Floats, signals: int | None, shape: tuple[int, ...]) -> Floats:
    return numbers.reshape(shape if signals is None else (signals, *shape))


def _softmax(logits: Floats) -> Floats:
    exponentials: Floats = np.exp(logits - logits.max(axis=-1, keepdims=True))
    exponentials /= exponentials.sum(axis=-1, keepdims=True)
    return exponentials
