"""The page, driven in Chromium: draw, erase, classify, files right and wrong, keyboard, touch, phones, dark and light.

    ./run.sh build && python3 -m unittest tests/test_page.py

With SCREENSHOTS=FOLDER it leaves pictures of what it saw.
"""

import functools
import http.server
import json
import os
import shutil
import struct
import subprocess
import threading
import unittest
import zlib
from pathlib import Path

from playwright.sync_api import sync_playwright

WEB = Path(__file__).parents[1]
MODELS = WEB.parent / "models"
CONFORMANCE = WEB.parent / "tests" / "conformance"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def png(rows):
    """A grey picture file of rows of bytes."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", len(rows[0]), len(rows), 8, 0, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + bytes(row) for row in rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def seven(ink, paper, side=280):
    """A drawn seven, as large as a scan of it."""

    def inside(x, y):
        x, y = 28 * x / side, 28 * y / side
        return (7 <= y < 9.5 and 8 <= x < 20) or (9.5 <= y < 22 and abs(x - (18.5 - 0.5 * (y - 9))) < 1.5)

    return [[ink if inside(x, y) else paper for x in range(side)] for y in range(side)]


class Page(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        handler = functools.partial(Quiet, directory=WEB / "dist")
        cls.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=cls.server.serve_forever, daemon=True).start()
        cls.playwright = sync_playwright().start()
        # A sandbox of its own needs rights that a container does not have, and much shared memory is not there either.
        flags = ["--no-sandbox", "--disable-dev-shm-usage"]
        cls.browser = cls.playwright.chromium.launch(executable_path=CHROMIUM, args=flags)

    @classmethod
    def tearDownClass(cls):
        cls.browser.close()
        cls.playwright.stop()
        cls.server.shutdown()
        cls.server.server_close()

    def open(self, query="", before="", **options):
        """The page once it has an answer; `before` runs in it ahead of its own code."""
        context = self.browser.new_context(**{"viewport": {"width": 1100, "height": 900}, **options})
        self.addCleanup(context.close)
        page = context.new_page()
        page.add_init_script(before)
        page.set_default_timeout(60_000)
        faults = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
        self.addCleanup(lambda: self.assertEqual(faults, []))
        page.goto(f"http://127.0.0.1:{self.server.server_port}/{query}")
        page.wait_for_function("document.querySelectorAll('#film li').length == 5")
        return page

    def seen(self, page, name):
        if "SCREENSHOTS" in os.environ:
            page.screenshot(path=Path(os.environ["SCREENSHOTS"]) / f"{name}.png")

    def settle(self, page):
        """Until the frame after the next is drawn: what was changed is fitted by then."""
        page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def label(self, page):
        self.settle(page)
        return page.locator("#label").inner_text()

    def slide(self, page, name, value):
        page.locator(f"#{name}").fill(str(value))
        self.settle(page)

    def draw(self, page, points):
        box = page.locator("#pad").bounding_box()
        for n, (x, y) in enumerate(points):
            page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"], steps=8)
            if n == 0:
                page.mouse.down()
        page.mouse.up()
        self.settle(page)

    def missing(self, page):
        """Samples that the fit saw, of all."""
        words = page.locator("#figures").inner_text().split()
        at = words.index("of")
        return int(words[at + 2 - 1]) - int(words[at - 1])

    def pick(self, page, name, data):
        page.locator("#file").set_input_files({"name": name, "mimeType": "application/octet-stream", "buffer": data})
        page.locator("#message").wait_for()
        self.settle(page)
        return page.locator("#message").inner_text()

    def test_a_drawn_digit_is_read_and_erased(self):
        page = self.open()
        page.click("#clear")
        self.draw(page, [(0.3, 0.25), (0.7, 0.25), (0.45, 0.8)])
        self.assertEqual(self.label(page), "7")
        figures = page.locator("#figures").inner_text()
        self.assertRegex(
            figures, r"^\d\d\.\d\d dB on 784 of 784 samples; \d+\.\d ms for 4 steps and the Transformer, with SIMD$"
        )
        shares = page.locator("#classes .share").all_inner_texts()
        self.assertEqual(len(shares), 10)
        self.assertAlmostEqual(sum(float(share.split()[0]) for share in shares), 100, delta=0.6)
        # A brush takes pixels away.
        page.check("input[value=erase]")
        self.draw(page, [(0.1, 0.6), (0.9, 0.6)])
        erased = self.missing(page)
        self.assertGreater(erased, 50)
        self.assertEqual(self.label(page), "7")
        # A slider takes more, and gives them back.
        self.slide(page, "picture-missing", 50)
        self.assertGreater(self.missing(page), 350)
        self.assertEqual(self.label(page), "7")
        self.seen(page, "erased")
        self.slide(page, "picture-missing", 0)
        self.assertEqual(self.missing(page), erased)
        page.check("input[value=restore]")
        self.draw(page, [(0.1, 0.6), (0.9, 0.6)])
        self.assertEqual(self.missing(page), 0)

    def test_nothing_left_to_fit_is_said(self):
        page = self.open()
        page.check("input[value=erase]")
        self.draw(
            page, [(x, 0.02 + 0.96 * y / 28) for y in range(29) for x in ((0.02, 0.98) if y % 2 else (0.98, 0.02))]
        )
        self.assertEqual(page.locator("#figures").inner_text(), "there is no sample to fit")
        page.click("#clear")
        self.assertNotEqual(self.label(page), "–")

    def test_the_fit_is_watched(self):
        page = self.open()
        captions = page.locator("#film li").all_inner_texts()
        self.assertIn("the start, θ", captions[0])
        decibels = [float(caption.split()[-2]) for caption in captions]
        self.assertEqual(decibels, sorted(decibels))
        size = page.evaluate("[document.getElementById('large').width, document.getElementById('large').height]")
        self.assertEqual(size, [112, 112])
        # What the frames show differs, from the first to the last.
        frames = page.evaluate("[...document.querySelectorAll('#film canvas')].map(c => c.toDataURL())")
        self.assertEqual(len(set(frames)), 5)

    def logits(self, page, model, simd):
        """The bits of a model's logits in the page, for a whole signal and one with holes, and those of a native program
        with mwt-infer's portable kernels."""
        command = ["cargo", "run", "--quiet", "--release", "--locked", "--example", "portable", MODELS / f"{model}.mwt"]
        native = json.loads(subprocess.run(command, cwd=WEB, stdout=subprocess.PIPE, check=True).stdout)
        found = page.evaluate(
            """async ([model, simd]) => {
                const { Mwt, bytesOf } = await import('./mwt.js');
                const mwt = await Mwt.start(simd);
                const about = mwt.load(await bytesOf(`models/${model}.mwt`));
                const numbers = mwt.golden(0);
                const holes = numbers.map((n, i) => Math.floor(i / about.channels) % 3 ? n : NaN);
                const bits = (signal) => [...new Uint32Array(mwt.classify(signal).logits.buffer)];
                return { isa: about.isa, bits: [...bits(numbers), ...bits(holes)] };
            }""",
            [model, simd],
        )
        self.assertEqual(found["isa"], "simd128" if simd else "portable")
        self.assertEqual(len(found["bits"]), len(native))
        return found["bits"], native

    def test_the_bits_are_those_of_the_native_program(self):
        """Without SIMD."""
        page = self.open("?simd=0")
        for model in ("mnist-micro", "gestures"):
            found, native = self.logits(page, model, False)
            self.assertEqual(found, native, model)

    def test_simd_has_the_logits_of_the_native_program(self):
        """As close as mwt-infer's tests hold every instruction set to the portable kernels, and the same classes."""
        page = self.open()
        for model in ("mnist-micro", "gestures"):
            found, native = (
                [struct.unpack("f", struct.pack("I", bits))[0] for bits in logits]
                for logits in self.logits(page, model, True)
            )
            for a, b in zip(found, native, strict=True):
                self.assertAlmostEqual(a, b, delta=1e-4, msg=model)
            half = len(native) // 2
            for part in (slice(half), slice(half, None)):
                self.assertEqual(
                    max(range(half), key=found[part].__getitem__), max(range(half), key=native[part].__getitem__)
                )

    def test_one_module_is_downloaded(self):
        """The one that the browser has instructions for; the other is left where it is."""
        without = "WebAssembly.validate = () => false"
        for query, before, wanted in (
            ("", "", "mwt-simd.wasm"),
            ("", without, "mwt.wasm"),
            ("?simd=0", "", "mwt.wasm"),
        ):
            page = self.open(query, before)
            names = page.evaluate("performance.getEntriesByType('resource').map(entry => entry.name)")
            modules = [name.rsplit("/", 1)[-1] for name in names if name.endswith(".wasm")]
            self.assertEqual(modules, [wanted])

    def test_self_test(self):
        page = self.open()
        page.click("#self-test")
        self.assertRegex(page.locator("#self-test-out").inner_text(), r"^passed: logits of 2 samples within \d\.\de-\d")

    def test_pictures_from_files(self):
        page = self.open()
        # Light on dark, as the model knows them.
        self.assertIn("cut about its centre", self.pick(page, "light.png", png(seven(255, 0))))
        self.assertEqual(self.label(page), "7")
        # Dark on paper: inverted, and said so.
        self.assertIn("inverted", self.pick(page, "scan.png", png(seven(20, 240))))
        self.assertEqual(self.label(page), "7")
        self.assertTrue(page.is_checked("#invert"))
        self.assertIn("not a picture", self.pick(page, "letter.png", b"not a picture at all"))
        self.assertTrue(page.locator("#message.bad").is_visible())
        self.assertEqual(self.label(page), "7")

    def test_dropped_files(self):
        page = self.open()
        drop = """([name, bytes]) => {
            const data = new DataTransfer();
            data.items.add(new File([new Uint8Array(bytes)], name));
            for (const type of ['dragenter', 'dragover', 'drop'])
                document.body.dispatchEvent(new DragEvent(type, { dataTransfer: data, bubbles: true, cancelable: true }));
        }"""
        page.evaluate(drop, ["seven.png", list(png(seven(255, 0)))])
        page.locator("#message").wait_for()
        self.assertEqual(self.label(page), "7")
        self.assertFalse(page.locator("#drop").is_visible())

    def test_bundles_of_ones_own(self):
        page = self.open()
        good = (MODELS / "fashion-micro.mwt").read_bytes()
        bad = bytearray(good)
        bad[1000] ^= 1
        for name, data, why in (
            ("notes.mwt", b"hello", "not an .mwt bundle"),
            ("cut.mwt", good[:1000], "cut.mwt"),
            ("flipped.mwt", bytes(bad), "checksum"),
        ):
            before = self.label(page)
            said = self.pick(page, name, data)
            self.assertTrue(said.startswith(f"{name}: ") and why in said, said)
            self.assertTrue(page.locator("#message.bad").is_visible())
            # The model before goes on.
            self.assertEqual(self.label(page), before)
        self.seen(page, "refused")
        self.assertIn("loaded", self.pick(page, "mine.mwt", good))
        self.assertEqual(page.locator("#model option:checked").inner_text(), "mine.mwt")
        self.assertIn(self.label(page), ["T-shirt/top", "Pullover", "Shirt", "Coat"])
        # One for series goes to the other tab.
        self.pick(page, "hand.mwt", (MODELS / "gestures.mwt").read_bytes())
        self.assertEqual(page.get_attribute("#tab-series", "aria-selected"), "true")
        self.assertIn(self.label(page), ["swipe left", "swipe right"])

    def test_bundles_of_other_kinds(self):
        """Every bundle of the conformance set is shown or refused with a reason."""
        page = self.open()
        for bundle in sorted(CONFORMANCE.glob("*.mwt")):
            said = self.pick(page, bundle.name, bundle.read_bytes())
            if "loaded" in said:
                self.assertNotIn(self.label(page), ("", "…"))
            else:
                self.assertIn("volumes", said)

    def test_series(self):
        page = self.open()
        page.click("#tab-series")
        page.wait_for_function("document.getElementById('about').textContent.includes('gestures')")
        names = page.locator("#recording option").all_inner_texts()
        self.assertEqual(len(names), 10)
        right = 0
        for n, name in enumerate(names[:8]):
            page.select_option("#recording", str(n))
            right += self.label(page) == name
        # The model has 91 % of such recordings right.
        self.assertGreaterEqual(right, 6)
        page.select_option("#recording", label="circle")
        self.settle(page)
        whole = self.missing(page)
        box = page.locator("#chart").bounding_box()
        page.mouse.move(box["x"] + 0.4 * box["width"], box["y"] + 50)
        page.mouse.down()
        page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 60, steps=6)
        page.mouse.up()
        self.settle(page)
        self.assertGreaterEqual(self.missing(page), whole + 10)
        self.slide(page, "series-missing", 30)
        self.assertGreater(self.missing(page), whole + 20)
        self.seen(page, "series")
        page.click("#restore-all")
        self.settle(page)
        self.assertEqual(self.missing(page), whole)

    def test_keyboard_alone(self):
        page = self.open()
        page.focus("#tab-picture")
        page.keyboard.press("ArrowRight")
        page.wait_for_function("document.getElementById('about').textContent.includes('gestures')")
        page.focus("#chart")
        page.keyboard.press("ArrowRight")
        before = self.missing(page)
        page.keyboard.press("Space")
        self.settle(page)
        self.assertEqual(self.missing(page), before + 1)
        page.focus("#tab-series")
        page.keyboard.press("ArrowRight")
        page.wait_for_function("document.getElementById('about').textContent.includes('mnist')")
        page.focus("#clear")
        page.keyboard.press("Enter")
        page.focus("#pad")
        page.keyboard.press("ArrowLeft")
        for _ in range(8):
            page.keyboard.press("ArrowUp")
        for _ in range(18):
            page.keyboard.press("Space")
            page.keyboard.press("ArrowDown")
        self.assertEqual(self.label(page), "1")
        page.keyboard.press("e")
        page.keyboard.press("Space")
        self.settle(page)
        self.assertGreater(self.missing(page), 3)

    def test_phones(self):
        for scheme in ("light", "dark"):
            page = self.open(
                viewport={"width": 360, "height": 740},
                device_scale_factor=2,
                is_mobile=True,
                has_touch=True,
                color_scheme=scheme,
            )
            # Nothing is wider than the screen, and the answer is in sight while one draws.
            self.assertEqual(page.evaluate("document.documentElement.scrollWidth"), 360)
            self.assertTrue(page.locator(".answer").bounding_box()["y"] < 740)
            small = page.evaluate(
                """[...document.querySelectorAll('button, select, .button')].filter(e => e.offsetParent)
                    .filter(e => e.getBoundingClientRect().height < 44).map(e => e.id)"""
            )
            self.assertEqual(small, [])
            ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
            self.assertEqual(sum(map(int, ground[4:-1].split(","))) < 300, scheme == "dark")
            page.check("input[value=erase]")
            page.locator("#pad").scroll_into_view_if_needed()
            box = page.locator("#pad").bounding_box()
            page.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
            self.settle(page)
            self.assertGreater(self.missing(page), 3)
            self.seen(page, f"phone-{scheme}")
            page.click("#tab-series")
            page.wait_for_function("document.getElementById('about').textContent.includes('gestures')")
            self.assertEqual(page.evaluate("document.documentElement.scrollWidth"), 360)
            self.seen(page, f"phone-series-{scheme}")

    def test_answers_at_once(self):
        """Counted in frames, not in time: one fit per change, and nothing is fitted where nothing changes."""
        page = self.open()
        fits = page.evaluate(
            """async () => {
                let fits = 0;
                new MutationObserver(() => fits++).observe(document.getElementById('figures'), { childList: true });
                const slider = document.getElementById('picture-missing');
                for (let value = 0; value < 30; value++) {
                    slider.value = value;
                    slider.dispatchEvent(new Event('input'));
                }
                await new Promise(done => setTimeout(done, 200));
                return fits;
            }"""
        )
        self.assertEqual(fits, 1)


if __name__ == "__main__":
    if "SCREENSHOTS" in os.environ:
        os.makedirs(os.environ["SCREENSHOTS"], exist_ok=True)
    unittest.main()
