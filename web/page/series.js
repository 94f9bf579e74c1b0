// The tab with the series: recordings, of which readings may be dropped.

import { Gaps } from "./gaps.js";
import { drawSeries, rangeOf } from "./shapes.js";

const $ = (id) => document.getElementById(id);

export class Series {
  /** `changed` is called after every change of the signal. */
  constructor(changed) {
    this.changed = changed;
    this.chart = $("chart");
    this.cursor = -1;
    this.#listen();
  }

  /** The signal of a model. `recordings` are names and numbers. */
  show(model, recordings) {
    const [length] = model.sides;
    this.recordings = recordings;
    this.shape = { channels: model.channels, range: model.range };
    this.length = length;
    this.gaps = new Gaps(length);
    this.gaps.share = $("series-missing").value / 100;
    $("recording").replaceChildren(...recordings.map(({ name }, i) => new Option(name, i)));
    const names = ["x", "y", "z"].slice(0, Math.min(3, model.channels));
    $("legend").replaceChildren(
      ...names.flatMap((name, i) => {
        const mark = document.createElement("b");
        mark.style.color = `var(--${name})`;
        mark.textContent = `● ${model.channels <= 3 ? name : `channels ${i + 1}, ${i + 4}, …`} `;
        return [mark];
      }),
    );
    // The third is a motion, which shows more than the first, rest.
    const first = Math.min(2, recordings.length - 1);
    $("recording").value = first;
    this.choose(first);
  }

  choose(index) {
    const { numbers } = this.recordings[index];
    this.numbers = numbers;
    this.shape.range = rangeOf(numbers);
    this.gaps.clear();
    this.drawn = null;
    this.changed();
  }

  /** The numbers, NaN for what is missing. */
  signal() {
    return this.gaps.applied(this.numbers, this.shape.channels);
  }

  draw() {
    const cursor = document.activeElement === this.chart ? this.cursor : -1;
    drawSeries(this.chart, { line: this.drawn, dots: this.signal(), cursor }, this.shape);
  }

  /** What a step draws; the last one is drawn into the chart too. */
  frame(canvas, drawn) {
    this.drawn = drawn;
    drawSeries(canvas, { line: drawn, dots: canvas.id === "large" ? this.numbers : null }, this.shape);
  }

  #listen() {
    const place = (event) => {
      const { left, width } = this.chart.getBoundingClientRect();
      return ((event.clientX - left - 4) / (width - 8)) * (this.length - 1);
    };
    const brush = (from, to) => {
      const drop = document.querySelector("input[name=brush]:checked").value === "drop";
      const [first, last] = [Math.round(Math.min(from, to)), Math.round(Math.max(from, to))];
      for (let i = first; i <= last; i++) this.gaps.set(i, drop);
      this.changed();
    };
    let before = null;
    this.chart.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      this.chart.setPointerCapture(event.pointerId);
      before = place(event);
      brush(before, before);
    });
    this.chart.addEventListener("pointermove", (event) => {
      if (before === null) return;
      const next = place(event);
      brush(before, next);
      before = next;
    });
    for (const end of ["pointerup", "pointercancel"]) this.chart.addEventListener(end, () => (before = null));
    this.chart.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key === "ArrowLeft" || event.key === "ArrowRight") {
        const next = this.cursor < 0 ? this.length >> 1 : this.cursor + (event.key === "ArrowLeft" ? -1 : 1);
        this.cursor = Math.min(this.length - 1, Math.max(0, next));
        this.draw();
      } else if ((event.key === " " || event.key === "Enter") && this.cursor >= 0) {
        this.gaps.set(this.cursor, !this.gaps.missing(this.cursor));
        this.changed();
      } else return;
      event.preventDefault();
    });
    for (const focus of ["focus", "blur"]) this.chart.addEventListener(focus, () => this.draw());
    $("recording").addEventListener("change", (event) => this.choose(event.target.value));
    $("restore-all").addEventListener("click", () => {
      this.gaps.clear();
      $("series-missing").value = 0;
      $("series-missing").dispatchEvent(new Event("input"));
    });
    $("series-missing").addEventListener("input", (event) => {
      $("series-missing-out").value = `${event.target.value} %`;
      this.gaps.share = event.target.value / 100;
      this.changed();
    });
  }
}
