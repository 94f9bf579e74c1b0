// The answer: classes, figures, and what the fit draws after each step.

import { softmax } from "./mwt.js";

const $ = (id) => document.getElementById(id);
const percent = (share) => `${(100 * share).toFixed(1)} %`;

/** Classes that are shown; of more the most likely ones. */
const SHOWN = 12;
/** The fit is drawn at this many times the model's sides. */
export const SCALE = 4;

/** A name as people see it: labels may be any text. */
function named(model, index) {
  return model.labels[index].trim() || `class ${index}`;
}

function best(probabilities) {
  return probabilities.indexOf(Math.max(...probabilities));
}

function row(name, share, first) {
  const item = document.createElement("li");
  if (first) item.className = "best";
  const [label, bar, figure] = ["name", "bar", "share"].map((kind) => {
    const span = document.createElement("span");
    span.className = kind;
    item.append(span);
    return span;
  });
  label.textContent = label.title = name;
  const filled = document.createElement("span");
  filled.style.width = `${100 * share}%`;
  bar.append(filled);
  figure.textContent = percent(share);
  return item;
}

/** Fits and shows what comes of it. `view` draws what a step gives. */
export function show(mwt, model, view, withSimd) {
  const signal = view.signal();
  const { logits, milliseconds } = mwt.classify(signal);
  const probabilities = softmax(logits);
  const first = best(probabilities);
  $("label").value = named(model, first);
  $("probability").value = percent(probabilities[first]);
  const order = probabilities.map((_, i) => i);
  if (order.length > SHOWN) order.sort((a, b) => probabilities[b] - probabilities[a]).splice(SHOWN);
  $("classes").replaceChildren(...order.map((i) => row(named(model, i), probabilities[i], i === first)));

  const film = $("film");
  const steps = [...mwt.steps(signal, SCALE)];
  while (film.children.length > steps.length) film.lastChild.remove();
  while (film.children.length < steps.length) {
    const item = document.createElement("li");
    item.append(document.createElement("canvas"), document.createElement("div"));
    film.append(item);
  }
  steps.forEach(({ logits, psnr, drawn }, step) => {
    const [canvas, caption] = film.children[step].children;
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", step ? `The fit after step ${step}` : "The learned start");
    view.frame(canvas, drawn, SCALE);
    const likely = softmax(logits);
    const name = document.createElement("b");
    name.textContent = step ? `${named(model, best(likely))} ${percent(Math.max(...likely))}` : "the start, θ";
    caption.replaceChildren(name, document.createElement("br"), `${step ? `step ${step}, ` : ""}${psnr.toFixed(1)} dB`);
  });
  const { psnr, drawn } = steps.at(-1);
  $("large").classList.toggle("wide", model.sides.length === 1);
  view.frame($("large"), drawn, SCALE);
  view.draw();
  const there = signal.length / model.channels;
  let missing = 0;
  for (let i = 0; i < signal.length; i += model.channels) missing += Number.isNaN(signal[i]) ? 1 : 0;
  $("figures").textContent =
    `${psnr.toFixed(2)} dB on ${there - missing} of ${there} samples; ${milliseconds.toFixed(1)} ms for ${model.steps} steps ` +
    `and the Transformer, ${withSimd ? "with SIMD" : "without SIMD"}`;
}

/** Nothing to show, and why. */
export function clear(message) {
  $("label").value = "–";
  $("probability").value = "";
  $("figures").textContent = message;
  $("classes").replaceChildren();
}
