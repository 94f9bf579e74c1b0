"""The package, as installed: against mwt-infer's own program, and in the company that it will keep."""

import copy
import os
import pickle
import subprocess
import threading
import time
import unittest
import warnings
from pathlib import Path

import mwt
import numpy as np

ROOT = Path(__file__).parents[2]
MODELS = ROOT / "models"
CONFORMANCE = ROOT / "tests" / "conformance"


def logits_of_mwt_infer(bundle, array):
    """What examples/logits.rs prints for signals, which calls mwt-infer and nothing of the package."""
    sample = {"uint8": "u8", "int16": "i16", "float32": "f32"}[array.dtype.name]
    command = ["cargo", "run", "--quiet", "--release", "--locked", "--example", "logits", bundle, sample, "/dev/stdin"]
    folder = ROOT / "mwt-python"
    output = subprocess.run(command, input=array.tobytes(), stdout=subprocess.PIPE, check=True, cwd=folder).stdout
    return np.frombuffer(output, "<f4").reshape(len(array), -1)


def images(model, count, seed=0):
    """Images as the model knows them, with noise on them."""
    rng = np.random.default_rng(seed)
    samples, _ = model.golden_samples()
    noise = rng.integers(0, 64, (count, *model.shape), np.uint8)
    return np.maximum(samples[rng.integers(0, len(samples), count)], noise)


class Reference(unittest.TestCase):
    """The bits of mwt-infer."""

    def test_images_of_bytes(self):
        for name in ("mnist-micro", "fashion-small"):
            bundle = MODELS / f"{name}.mwt"
            model = mwt.Model.load(bundle)
            batch = images(model, 24)
            np.testing.assert_array_equal(model.decision_function(batch), logits_of_mwt_infer(bundle, batch))

    def test_images_of_floats_with_missing_pixels(self):
        bundle = MODELS / "mnist-micro.mwt"
        model = mwt.Model.load(bundle)
        batch = images(model, 24).astype(np.float32)
        batch[np.random.default_rng(1).random(batch.shape) < 0.5] = np.nan
        ours = model.decision_function(batch)
        np.testing.assert_array_equal(ours, logits_of_mwt_infer(bundle, batch))
        # They are other ones than those of whole images.
        self.assertGreater(np.abs(ours - model.decision_function(images(model, 24))).max(), 0.1)

    def test_series(self):
        bundle = MODELS / "gestures.mwt"
        model = mwt.Model.load(bundle)
        series, _ = model.golden_samples()
        self.assertEqual(series.shape[1:], (64, 3))
        np.testing.assert_array_equal(model.decision_function(series), logits_of_mwt_infer(bundle, series))
        dropped = series.astype(np.float32)
        dropped[:, ::3] = np.nan
        np.testing.assert_array_equal(model.decision_function(dropped), logits_of_mwt_infer(bundle, dropped))

    def test_every_bundle_of_the_conformance_set(self):
        bundles = sorted(CONFORMANCE.glob("*.mwt"))
        self.assertGreater(len(bundles), 5)
        for bundle in bundles:
            with self.subTest(bundle=bundle.name):
                model = mwt.Model.load(bundle)
                signals, trainers = model.golden_samples()
                if len(signals) == 0:
                    continue
                ours = model.decision_function(signals)
                np.testing.assert_array_equal(ours, logits_of_mwt_infer(bundle, signals))
                self.assertEqual(ours.shape, trainers.shape)
                channels = model.inspect()["config"]["channels"]
                if channels > 1:
                    first = np.moveaxis(signals, -1, 1)
                    np.testing.assert_array_equal(model.decision_function(first), ours)
                flat = signals.reshape(len(signals), -1)
                np.testing.assert_array_equal(model.decision_function(flat), ours)


class Results(unittest.TestCase):
    """What the calls give, for one signal and for many."""

    def setUp(self):
        self.model = mwt.Model.load(MODELS / "mnist-micro.mwt")
        self.batch = images(self.model, 6)

    def test_one_is_as_in_a_batch(self):
        model, batch = self.model, self.batch
        for call in (model.decision_function, model.predict_proba, model.predict, model.transform, model.reconstruct):
            with self.subTest(call=call.__name__):
                np.testing.assert_array_equal(np.stack([call(image) for image in batch]), call(batch))
                np.testing.assert_array_equal(call(batch, threads=1), call(batch, threads=3))
                self.assertEqual(len(call(batch[:0])), 0)

    def test_classes_and_probabilities(self):
        self.assertEqual(self.model.classes_.tolist(), list(range(10)))
        gestures = mwt.Model.load(MODELS / "gestures.mwt")
        self.assertEqual(gestures.classes_.dtype.kind, "U")
        self.assertIn(gestures.predict(gestures.golden_samples()[0])[0], gestures.classes_)
        probabilities = self.model.predict_proba(self.batch)
        self.assertEqual(probabilities.shape, (6, 10))
        np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-6)
        best = self.model.classes_[probabilities.argmax(1)]
        np.testing.assert_array_equal(self.model.predict(self.batch), best)
        self.assertEqual(self.model.score(self.batch, best), 1)

    def test_features_are_the_fit(self):
        config = self.model.inspect()["config"]
        dim, layers = config["dim"], config["hidden_layers"]
        self.assertEqual(self.model.transform(self.batch).shape, (6, layers * dim * (dim + 1)))
        weights = self.model.transform(self.batch, of="weights")
        # Of an image [y, x] with one channel.
        self.assertEqual(weights.shape, (6, 2 * dim + dim + layers * dim * (dim + 1)))
        with self.assertRaises(ValueError):
            self.model.transform(self.batch, of="anything")

    def test_reconstruction(self):
        image = self.model.golden_samples()[0][0].astype(float)
        drawn = self.model.reconstruct(image)
        psnr = 10 * np.log10(255**2 / np.mean((drawn.clip(0, 255) - image) ** 2))
        *_, last = self.model.fit_steps(image)
        self.assertAlmostEqual(psnr, last.psnr, places=2)
        self.assertGreater(psnr, 15)
        large = self.model.reconstruct(image, size=(112, 56))
        self.assertEqual(large.shape, (112, 56))
        # The corners of the two grids are the same points.
        np.testing.assert_allclose(
            large[[0, 0, -1, -1], [0, -1, 0, -1]], drawn[[0, 0, -1, -1], [0, -1, 0, -1]], atol=1e-2
        )
        gestures = mwt.Model.load(MODELS / "gestures.mwt")
        series = gestures.golden_samples()[0]
        self.assertEqual(gestures.reconstruct(series, size=256).shape, (len(series), 256, 3))
        for size in (0, (28,), (28, -1), (1 << 20, 1 << 20)):
            with self.assertRaises(ValueError):
                self.model.reconstruct(image, size=size)

    def test_steps(self):
        image = self.batch[0]
        steps = list(self.model.fit_steps(image, size=56))
        self.assertEqual([step.step for step in steps], [1, 2, 3, 4])
        np.testing.assert_array_equal(steps[-1].logits, self.model.decision_function(image))
        np.testing.assert_array_equal(steps[-1].probabilities, self.model.predict_proba(image))
        np.testing.assert_array_equal(steps[-1].reconstruction, self.model.reconstruct(image, size=56))
        self.assertGreater(steps[-1].psnr, steps[0].psnr)
        self.assertIsNone(next(self.model.fit_steps(image)).reconstruction)
        with self.assertRaises(ValueError):
            self.model.fit_steps(self.batch)

    def test_self_test_and_inspection(self):
        test = self.model.self_test()
        self.assertEqual(test.samples, 2)
        self.assertLess(test.max_error, 1e-3)
        about = self.model.inspect()
        self.assertEqual(about["bytes"], (MODELS / "mnist-micro.mwt").stat().st_size)
        self.assertEqual(about["config"]["extents"], [28, 28])
        self.assertEqual(about["facts"]["data_set"], "mnist")

    def test_copies_are_the_model(self):
        for other in (pickle.loads(pickle.dumps(self.model)), copy.deepcopy(self.model)):
            np.testing.assert_array_equal(other.decision_function(self.batch), self.model.decision_function(self.batch))
        bundle = (MODELS / "mnist-micro.mwt").read_bytes()
        self.assertEqual(self.model.to_bytes(), bundle)
        self.assertEqual(mwt.Model.load(memoryview(bundle)).to_bytes(), bundle)


class Refused(unittest.TestCase):
    """Errors say what mwt-infer says."""

    def setUp(self):
        self.model = mwt.Model.load(MODELS / "mnist-micro.mwt")

    def test_bundles(self):
        bundle = bytearray((MODELS / "mnist-micro.mwt").read_bytes())
        bundle[5000] ^= 1
        with self.assertRaisesRegex(mwt.Error, "checksum"):
            mwt.Model.load(bundle)
        with self.assertRaisesRegex(mwt.Error, "^not an .mwt bundle$"):
            mwt.Model.load(b"hello")
        with self.assertRaisesRegex(mwt.Error, "test_mwt.py: not an .mwt bundle$"):
            mwt.Model.load(__file__)
        with self.assertRaises(FileNotFoundError):
            mwt.Model.load("nowhere.mwt")

    def test_signals(self):
        for shape in ((27, 28), (784, 2), (2, 3, 28, 28), ()):
            with self.assertRaisesRegex(ValueError, r"the model takes \(28, 28\)"):
                self.model.predict(np.zeros(shape))
        with self.assertRaisesRegex(mwt.Error, "^there is no sample to fit$"):
            self.model.predict(np.full((28, 28), np.nan))
        batch = np.zeros((3, 28, 28), np.float32)
        batch[2] = np.inf
        with self.assertRaisesRegex(mwt.Error, "^signal 2: a sample's value is not finite$"):
            self.model.predict(batch)
        with self.assertRaises(TypeError):
            self.model.predict(np.array([["a"]]))
        with self.assertRaises(ValueError):
            self.model.predict(batch[:2], threads=0)

    def test_a_range_that_is_not_that_of_bytes_is_noticed(self):
        image = self.model.golden_samples()[0][0]
        with self.assertWarnsRegex(UserWarning, "multiply by 255") as caught:
            self.model.predict(image / 255)
        self.assertEqual(caught.filename, __file__)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            self.model.predict(image.astype(float))
            self.model.predict(image // 255)
            gestures = mwt.Model.load(MODELS / "gestures.mwt")
            gestures.predict(gestures.golden_samples()[0] * 0.0)


class Company(unittest.TestCase):
    """Threads, processes, and other libraries."""

    def setUp(self):
        self.model = mwt.Model.load(MODELS / "mnist-micro.mwt")
        self.batch = images(self.model, 8)
        self.logits = self.model.decision_function(self.batch)

    def same(self, signals):
        np.testing.assert_array_equal(self.model.decision_function(signals), self.logits)

    def test_python_goes_on_while_it_computes(self):
        batch, ticks, done = images(self.model, 1500), [], threading.Event()

        def tick():
            while not done.is_set():
                ticks.append(time.perf_counter())
                time.sleep(0.001)

        thread = threading.Thread(target=tick)
        thread.start()
        start = time.perf_counter()
        self.model.predict(batch, threads=1)
        end = time.perf_counter()
        done.set()
        thread.join()
        # With the lock held there would be none between the two.
        self.assertGreater(sum(start < t < end for t in ticks), 5)

    def test_threads_share_a_model(self):
        results = [None] * 4

        def run(n):
            results[n] = [self.model.decision_function(self.batch, threads=2) for _ in range(5)]

        threads = [threading.Thread(target=run, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for result in results:
            for logits in result:
                np.testing.assert_array_equal(logits, self.logits)

    @unittest.skipUnless(hasattr(os, "fork"), "needs fork")
    def test_a_forked_process_computes_too(self):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            child = os.fork()
        if child == 0:
            # Were the parent's threads expected here, this would hang; the alarm would end it.
            import signal

            signal.alarm(60)
            same = (self.model.decision_function(self.batch, threads=2) == self.logits).all()
            os._exit(0 if same else 1)
        self.assertEqual(os.waitpid(child, 0)[1], 0)

    def test_everything_that_numbers_come_in(self):
        self.same(self.batch.tolist())
        self.same(np.asfortranarray(self.batch))
        self.same(self.batch[::-1][::-1])
        self.same(self.batch[:, None])
        self.same(self.batch.astype(">i4"))
        for kind in (np.int16, np.uint16, np.int64, np.float16, np.float64):
            self.same(self.batch.astype(kind))
        missing = self.batch.astype(np.float32)
        missing[:, ::2] = np.nan
        expected = self.model.decision_function(missing)
        masked = np.ma.masked_array(self.batch, np.isnan(missing))
        np.testing.assert_array_equal(self.model.decision_function(masked), expected)
        nested = [[[None if np.isnan(v) else v for v in row] for row in image] for image in missing.tolist()]
        np.testing.assert_array_equal(self.model.decision_function(nested), expected)

    def test_dlpack(self):
        class Tensor:
            """Another library's, that speaks DLPack alone."""

            def __init__(self, array):
                self.array = array

            def __dlpack__(self, **arguments):
                return self.array.__dlpack__(**arguments)

            def __dlpack_device__(self):
                return self.array.__dlpack_device__()

        self.same(Tensor(self.batch))

    def test_torch(self):
        try:
            import torch
        except ImportError:
            self.skipTest("no torch")
        self.same(torch.from_numpy(self.batch))
        self.same(torch.from_numpy(self.batch).float()[:, None])

    def test_pandas(self):
        try:
            import pandas as pd
        except ImportError:
            self.skipTest("no pandas")
        table = pd.DataFrame(self.batch.reshape(8, -1))
        self.same(table)
        self.same(table.astype("Int64"))
        gaps = table.astype("Int64")
        gaps.iloc[:, ::2] = pd.NA
        expected = self.batch.reshape(8, -1).astype(np.float32)
        expected[:, ::2] = np.nan
        np.testing.assert_array_equal(self.model.decision_function(gaps), self.model.decision_function(expected))

    def test_scikit_learn(self):
        try:
            from sklearn.base import clone
            from sklearn.linear_model import LogisticRegression
            from sklearn.model_selection import cross_val_score
            from sklearn.pipeline import make_pipeline
            from sklearn.preprocessing import FunctionTransformer, StandardScaler
        except ImportError:
            self.skipTest("no scikit-learn")
        batch = images(self.model, 60).reshape(60, -1)
        classes = self.model.predict(batch)
        self.assertGreater(len(set(classes)), 1)
        # As features of another classifier.
        features = make_pipeline(self.model, StandardScaler(), LogisticRegression(max_iter=200))
        self.assertEqual(features.fit(batch, classes).score(batch, classes), 1)
        self.assertEqual(cross_val_score(features, batch, classes, cv=3).min(), 1)
        # As the classifier.
        inverted = make_pipeline(FunctionTransformer(lambda x: 255 - x), self.model)
        np.testing.assert_array_equal(inverted.predict(255 - batch), classes)
        self.assertEqual(inverted.score(255 - batch, classes), 1)
        self.assertIs(clone(self.model), self.model)
        self.assertIn("Model", repr(inverted))
        with self.assertRaises(ValueError):
            self.model.set_params(steps=3)


if __name__ == "__main__":
    unittest.main()
