// The page: tabs, models, files. What is fitted is in picture.js and series.js, what comes of it in results.js.

import { Mwt, bytesOf, simd } from "./mwt.js";
import { Picture } from "./picture.js";
import { clear, show } from "./results.js";
import { Series } from "./series.js";
import { rangeOf } from "./shapes.js";

const $ = (id) => document.getElementById(id);

/** Of each tab: its models, those of the page first. */
const MODELS = {
  picture: [
    { name: "Digits, micro (MNIST)", file: "models/mnist-micro.mwt" },
    { name: "Digits, small (MNIST)", file: "models/mnist-small.mwt" },
    { name: "Clothes, micro (Fashion-MNIST)", file: "models/fashion-micro.mwt" },
    { name: "Clothes, small (Fashion-MNIST)", file: "models/fashion-small.mwt" },
  ],
  series: [{ name: "Gestures of a hand", file: "models/gestures.mwt", recordings: "gestures.json" }],
};
const chosen = { picture: 0, series: 0 };

let mwt;
let model;
let tab = "picture";
let pending = false;
// `?simd=0` is for comparing the two modules.
const withSimd = simd && new URLSearchParams(location.search).get("simd") !== "0";

const views = { picture: new Picture(changed), series: new Series(changed) };

/** One fit per frame, however many changes there were. */
function changed() {
  if (pending || !model) return;
  pending = true;
  requestAnimationFrame(() => {
    pending = false;
    try {
      show(mwt, model, views[tab], withSimd);
    } catch (error) {
      clear(error.message);
      views[tab].draw();
    }
  });
}

function say(text, bad = false) {
  $("message").textContent = text;
  $("message").hidden = !text;
  $("message").classList.toggle("bad", bad);
}

/** The bundle's own samples. */
function examples(about) {
  return Array.from({ length: about.golden }, (_, i) => mwt.golden(i));
}

/** Makes a loaded bundle the model. */
function use(about, recordings = []) {
  const own = examples(about);
  about.range = about.sample === "u8" ? [0, 255] : rangeOf(own.flatMap((numbers) => [...numbers]));
  const size = about.sides.join(" × ") + (about.channels > 1 ? `, ${about.channels} channels` : "");
  const accuracy = about.basisPoints ? `; ${about.basisPoints / 100} % right in validation` : "";
  $("about").textContent =
    `${size}; ${about.classes} classes; ${about.bytes.toLocaleString("en")} bytes, ` +
    `${about.workspace.toLocaleString("en")} of workspace${about.data ? `; trained on ${about.data}` : ""}${accuracy}`;
  model = about;
  if (about.sides.length === 1) {
    const named = own.map((numbers, i) => ({ name: `the bundle's sample ${i + 1}`, numbers }));
    const blank = { name: "zeros", numbers: new Float32Array(about.sides[0] * about.channels) };
    const all = [...recordings, ...named];
    views.series.show(about, all.length ? all : [blank]);
  } else views.picture.show(about, own);
  $("self-test-out").value = "";
  changed();
}

/** Recordings of a file: in thousandths, null where the sensor delivered nothing. */
function recorded(bytes) {
  return JSON.parse(new TextDecoder().decode(bytes)).map(({ name, readings }) => ({
    name,
    numbers: Float32Array.from(readings.flat(), (reading) => (reading === null ? NaN : reading / 1000)),
  }));
}

/** Loads the chosen model of the tab. */
async function load() {
  const [list, index] = [MODELS[tab], chosen[tab]];
  const entry = list[index];
  $("model").replaceChildren(...list.map(({ name }, i) => new Option(name, i, false, i === index)));
  try {
    entry.bytes ??= await bytesOf(entry.file);
    if (entry.recordings) entry.recorded ??= recorded(await bytesOf(entry.recordings));
    // Another one may have been chosen meanwhile.
    if (entry !== MODELS[tab][chosen[tab]]) return;
    use(mwt.load(entry.bytes), entry.recorded);
    say("");
  } catch (error) {
    say(error.message, true);
  }
}

async function openTab(next) {
  tab = next;
  for (const name of Object.keys(MODELS)) {
    $(`tab-${name}`).setAttribute("aria-selected", name === tab);
    $(`tab-${name}`).tabIndex = name === tab ? 0 : -1;
    $(`panel-${name}`).hidden = name !== tab;
  }
  await load();
}

/** A file that was chosen or dropped: a bundle or a picture. */
async function open(file) {
  if (!file) return;
  try {
    if (file.name.endsWith(".mwt")) {
      const bytes = new Uint8Array(await file.arrayBuffer());
      const about = mwt.load(bytes);
      const kind = { 1: "series", 2: "picture" }[about.sides.length];
      if (!kind) {
        await load();
        throw new Error(`${file.name}: a model of volumes; this page shows pictures and series`);
      }
      chosen[kind] = MODELS[kind].push({ name: file.name, bytes }) - 1;
      await openTab(kind);
      say(`${file.name}: loaded. It stays in this page; nothing is sent anywhere.`);
    } else {
      if (tab !== "picture") await openTab("picture");
      say(await views.picture.open(file));
    }
  } catch (error) {
    const text = error.message.startsWith(file.name) ? error.message : `${file.name}: ${error.message}`;
    say(text, true);
  }
}

function listen() {
  const names = Object.keys(MODELS);
  for (const name of names) {
    $(`tab-${name}`).addEventListener("click", () => openTab(name));
    $(`tab-${name}`).addEventListener("keydown", (event) => {
      if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
      const other = names[(names.indexOf(name) + 1) % names.length];
      $(`tab-${other}`).focus();
      openTab(other);
    });
  }
  $("model").addEventListener("change", (event) => {
    chosen[tab] = Number(event.target.value);
    load();
  });
  $("file").addEventListener("change", async (event) => {
    await open(event.target.files[0]);
    // The same file again is a change too.
    event.target.value = "";
  });
  $("self-test").addEventListener("click", () => {
    try {
      const { samples, maxError } = mwt.selfTest();
      $("self-test-out").value = samples
        ? `passed: logits of ${samples} samples within ${maxError.toExponential(1)} of the trainer's`
        : "the bundle carries no samples to test with";
    } catch (error) {
      $("self-test-out").value = error.message;
    }
  });
  let over = 0;
  addEventListener("dragenter", (event) => {
    event.preventDefault();
    $("drop").hidden = ++over === 0;
  });
  addEventListener("dragleave", () => ($("drop").hidden = --over <= 0));
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    over = 0;
    $("drop").hidden = true;
    open(event.dataTransfer.files[0]);
  });
  addEventListener("resize", changed);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", changed);
}

listen();
try {
  mwt = await Mwt.start(withSimd);
  await openTab("picture");
} catch (error) {
  say(`The page could not start: ${error.message}`, true);
}
