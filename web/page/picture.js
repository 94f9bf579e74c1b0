// The tab with the picture: drawing, erasing, and pictures from files.

import { Gaps } from "./gaps.js";
import { pixelsOf, shrunk } from "./resample.js";
import { drawImage } from "./shapes.js";

const $ = (id) => document.getElementById(id);

export class Picture {
  /** `changed` is called after every change of the signal. */
  constructor(changed) {
    this.changed = changed;
    this.pad = $("pad");
    this.cursor = null;
    this.examples = [];
    this.#listen();
  }

  /** The signal of a model, which may be another one than before: the drawing stays where it fits. */
  show(model, examples) {
    const [height, width] = model.sides;
    const same = this.shape && this.shape.height === height && this.shape.width === width
      && this.shape.channels === model.channels;
    this.shape = { height, width, channels: model.channels, range: model.range };
    this.examples = examples;
    $("ink-label").hidden = model.channels !== 3;
    // An example that nobody changed makes place for one of the new model's.
    if (same && !this.untouched) return;
    this.gaps = new Gaps(height * width);
    this.gaps.share = $("picture-missing").value / 100;
    this.next = 0;
    this.example();
  }

  /** The numbers, NaN for what is missing. */
  signal() {
    return this.gaps.applied(this.numbers, this.shape.channels);
  }

  draw() {
    drawImage(this.pad, this.signal(), this.shape);
    if (this.cursor && document.activeElement === this.pad) {
      const context = this.pad.getContext("2d");
      context.fillStyle = "rgb(255 0 128 / 60%)";
      context.fillRect(this.cursor.x, this.cursor.y, 1, 1);
    }
  }

  /** What a step draws. */
  frame(canvas, drawn, scale) {
    const { height, width } = this.shape;
    drawImage(canvas, drawn, { ...this.shape, height: scale * height, width: scale * width });
  }

  example() {
    const numbers = this.examples[this.next++ % this.examples.length];
    this.#set(numbers ? numbers.slice() : this.#blank());
    this.untouched = true;
  }

  /** A picture file. Says what was done to it. */
  async open(file) {
    const { height, width, channels } = this.shape;
    let pixels;
    try {
      pixels = await pixelsOf(file, height, width);
    } catch {
      throw new Error(`${file.name}: not a picture that this browser reads`);
    }
    this.#set(shrunk(pixels, height, width, channels));
    // Light and dark as the model's own pictures have them.
    const border = (numbers) => {
      const at = (y, x) => numbers[(y * width + x) * channels];
      let sum = 0;
      for (let x = 0; x < width; x++) sum += at(0, x) + at(height - 1, x);
      for (let y = 0; y < height; y++) sum += at(y, 0) + at(y, width - 1);
      return sum / (2 * (height + width));
    };
    const [low, high] = this.shape.range;
    const half = (low + high) / 2;
    const own = this.examples.length ? Math.max(...this.examples.map(border)) : half;
    if (own < half && border(this.numbers) > half) {
      this.invert();
      return `${file.name}: dark on light, so it was inverted for this model, which knows light on dark.`;
    }
    return `${file.name}: cut about its centre to ${width} × ${height} pixels.`;
  }

  invert() {
    const [low, high] = this.shape.range;
    const inverted = this.numbers.map((number) => low + high - number);
    const box = $("invert").checked;
    this.#set(inverted);
    $("invert").checked = !box;
  }

  /** As MNIST's digits lie: 20 of 28 pixels large, their centre of mass in the middle. */
  center() {
    const { height, width, channels, range: [low, high] } = this.shape;
    const ink = (y, x) => (this.numbers[(y * width + x) * channels] - low) / (high - low);
    let [top, bottom, left, right, mass, my, mx] = [height, -1, width, -1, 0, 0, 0];
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++) {
        const m = ink(y, x);
        if (m < 0.1) continue;
        [top, bottom] = [Math.min(top, y), Math.max(bottom, y)];
        [left, right] = [Math.min(left, x), Math.max(right, x)];
        [mass, my, mx] = [mass + m, my + m * y, mx + m * x];
      }
    if (!mass) return;
    const zoom = Math.max(bottom - top + 1, right - left + 1) / ((20 / 28) * Math.min(height, width));
    const numbers = this.#blank();
    const old = this.numbers;
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++) {
        const [v, u] = [my / mass + zoom * (y - (height - 1) / 2), mx / mass + zoom * (x - (width - 1) / 2)];
        const [v0, u0] = [Math.floor(v), Math.floor(u)];
        for (let c = 0; c < channels; c++) {
          const at = (y, x) => (y < 0 || x < 0 || y >= height || x >= width ? low : old[(y * width + x) * channels + c]);
          const mix = (a, b, t) => a + t * (b - a);
          numbers[(y * width + x) * channels + c] = mix(
            mix(at(v0, u0), at(v0, u0 + 1), u - u0), mix(at(v0 + 1, u0), at(v0 + 1, u0 + 1), u - u0), v - v0);
        }
      }
    this.#set(numbers);
  }

  #blank() {
    const { height, width, channels, range } = this.shape;
    return new Float32Array(height * width * channels).fill(range[0]);
  }

  #set(numbers) {
    this.numbers = numbers;
    this.untouched = false;
    this.gaps.clear();
    $("invert").checked = false;
    this.changed();
  }

  #ink() {
    const [low, high] = this.shape.range;
    if (this.shape.channels !== 3) return [high, high, high];
    return [1, 3, 5].map((i) => low + ((high - low) * parseInt($("ink").value.slice(i, i + 2), 16)) / 255);
  }

  /** Draws, erases or brings back along a line, in pixels. */
  stroke(from, to) {
    const tool = document.querySelector("input[name=tool]:checked").value;
    const { height, width, channels, range: [low] } = this.shape;
    const ink = this.#ink();
    this.untouched = false;
    // Strokes grow with the picture: MNIST's are between two and three pixels of 28.
    const unit = Math.max(height, width) / 28;
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++) {
        const distance = toSegment(x + 0.5, y + 0.5, from, to) / unit;
        const i = y * width + x;
        if (tool !== "draw") {
          if (distance < 1.6) this.gaps.set(i, tool === "erase");
          continue;
        }
        const share = Math.min(1, Math.max(0, 1.7 - distance));
        if (!share) continue;
        if (distance < 1.2) this.gaps.set(i, false);
        for (let c = 0; c < channels; c++) {
          const at = i * channels + c;
          const inked = low + share * (ink[c % 3] - low);
          this.numbers[at] = channels === 3
            ? this.numbers[at] + share * (ink[c] - this.numbers[at])
            : Math.max(this.numbers[at], inked);
        }
      }
    this.changed();
  }

  #listen() {
    const place = (event) => {
      const { left, top, width, height } = this.pad.getBoundingClientRect();
      return {
        x: ((event.clientX - left) / width) * this.shape.width,
        y: ((event.clientY - top) / height) * this.shape.height,
      };
    };
    let last = null;
    this.pad.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      this.pad.setPointerCapture(event.pointerId);
      this.cursor = null;
      last = place(event);
      this.stroke(last, last);
    });
    this.pad.addEventListener("pointermove", (event) => {
      if (!last) return;
      const next = place(event);
      this.stroke(last, next);
      last = next;
    });
    for (const end of ["pointerup", "pointercancel"]) this.pad.addEventListener(end, () => (last = null));

    const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    this.pad.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const { width, height } = this.shape;
      this.cursor ??= { x: width >> 1, y: height >> 1 };
      const tool = { d: "draw", e: "erase", b: "restore" }[event.key.toLowerCase()];
      if (event.key in ARROWS) {
        const [x, y] = ARROWS[event.key];
        this.cursor.x = Math.min(width - 1, Math.max(0, this.cursor.x + x));
        this.cursor.y = Math.min(height - 1, Math.max(0, this.cursor.y + y));
        this.draw();
      } else if (event.key === " " || event.key === "Enter") {
        const at = { x: this.cursor.x + 0.5, y: this.cursor.y + 0.5 };
        this.stroke(at, at);
      } else if (tool) {
        document.querySelector(`input[name=tool][value=${tool}]`).checked = true;
      } else return;
      event.preventDefault();
    });
    for (const focus of ["focus", "blur"]) this.pad.addEventListener(focus, () => this.draw());

    $("clear").addEventListener("click", () => this.#set(this.#blank()));
    $("example").addEventListener("click", () => this.example());
    $("center").addEventListener("click", () => this.center());
    $("invert").addEventListener("change", () => {
      $("invert").checked = !$("invert").checked;
      this.invert();
    });
    $("picture-missing").addEventListener("input", (event) => {
      $("picture-missing-out").value = `${event.target.value} %`;
      this.gaps.share = event.target.value / 100;
      this.changed();
    });
  }
}

/** Distance of a point from a line between two. */
function toSegment(x, y, from, to) {
  const [dx, dy] = [to.x - from.x, to.y - from.y];
  const length = dx * dx + dy * dy;
  const t = length ? Math.min(1, Math.max(0, ((x - from.x) * dx + (y - from.y) * dy) / length)) : 0;
  return Math.hypot(x - from.x - t * dx, y - from.y - t * dy);
}
