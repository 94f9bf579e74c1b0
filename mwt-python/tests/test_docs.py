"""The blocks of docs/PYTHON.md and of the package's README, in order, in a folder with the models alone."""

import contextlib
import importlib.util
import io
import os
import re
import shutil
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).parents[2]


class Docs(unittest.TestCase):
    def setUp(self):
        os.environ["MPLBACKEND"] = "Agg"
        self.folder = tempfile.mkdtemp()
        self.before = os.getcwd()
        for bundle in (ROOT / "models").glob("*.mwt"):
            shutil.copy(bundle, self.folder)
        os.chdir(self.folder)

    def tearDown(self):
        os.chdir(self.before)
        shutil.rmtree(self.folder)

    def run_blocks(self, path):
        """Runs the blocks and gives what each printed; None where it needs what is not installed."""
        names, printed = {}, []
        for code in re.findall(r"```python\n(.*?)```", path.read_text(), re.DOTALL):
            needed = re.findall(r"^(?:import|from) (\w+)", code, re.MULTILINE)
            if any(importlib.util.find_spec(name) is None for name in needed):
                printed.append(None)
                continue
            output = io.StringIO()
            with contextlib.redirect_stdout(output):
                exec(compile(code, path.name, "exec"), names)
            printed.append(output.getvalue())
        return names, printed

    def test_page(self):
        names, printed = self.run_blocks(ROOT / "docs" / "PYTHON.md")
        seven, picture, plot, pipeline, tensors = printed
        self.assertRegex(seven, r"^7 0\.99\d+\n7\n$")
        if picture is not None:
            from PIL import Image

            Image.fromarray(255 - names["seven"]).resize((280, 280)).save("digit.png")
            self.assertEqual(names["model"].predict(names["read_digit"]("digit.png")), 7)
        if plot is not None:
            self.assertTrue(Path("fits.png").stat().st_size > 10_000)
        if pipeline is not None:
            self.assertGreater(float(pipeline), 0.9)
        if tensors is not None:
            self.assertRegex(tensors, r"^\[\d \d\] \[\d \d\]\n$")

    def test_readme(self):
        _, (seven,) = self.run_blocks(ROOT / "mwt-python" / "README.md")
        self.assertRegex(seven, r"^7 0\.99\d+\n7\n$")


if __name__ == "__main__":
    unittest.main()
