// mwt-infer as JavaScript calls it. Numbers and text are copied out of the module's memory, which may move when it grows.

// A function of one SIMD instruction: browsers that take it have SIMD.
const PROBE = [
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11,
];

/** Whether this browser runs the faster of the two modules, whose logits differ from the other's in their last bits. */
export const simd = WebAssembly.validate(new Uint8Array(PROBE));

/** Where the files beside this one lie. */
export async function bytesOf(file) {
  const response = await fetch(new URL(file, import.meta.url));
  if (!response.ok) throw new Error(`${file}: ${response.status} ${response.statusText}`);
  return new Uint8Array(await response.arrayBuffer());
}

export class Mwt {
  #wasm;

  constructor(exports) {
    this.#wasm = exports;
  }

  /** The module, without a model yet. */
  static async start(withSimd = simd) {
    const bytes = await bytesOf(withSimd ? "mwt-simd.wasm" : "mwt.wasm");
    const { instance } = await WebAssembly.instantiate(bytes, {});
    return new Mwt(instance.exports);
  }

  /** Parses a bundle and says what it holds. Throws when it is refused; the model before stays then. */
  load(bundle) {
    const at = this.#wasm.bundle_buffer(bundle.length);
    new Uint8Array(this.#wasm.memory.buffer, at, bundle.length).set(bundle);
    if (!this.#wasm.load()) throw this.#error();
    return JSON.parse(this.#text());
  }

  /** The numbers of one of the bundle's own samples; null when there is no such. */
  golden(index) {
    const length = this.#wasm.golden(index);
    return length ? this.#output(length) : null;
  }

  /** Fits and classifies: logits, and the milliseconds that it took. NaN says that a sample is missing. */
  classify(numbers) {
    const start = performance.now();
    this.#begin(numbers);
    while (this.#step());
    const logits = this.#logits();
    return { logits, milliseconds: performance.now() - start };
  }

  /** The fit before the first step and after each one: logits, PSNR in dB, and what it draws at some scales. */
  *steps(numbers, scale) {
    this.#begin(numbers);
    do {
      yield { logits: this.#logits(), psnr: this.#psnr(), drawn: this.reconstruct(scale) };
    } while (this.#step());
  }

  /** What the last fit draws, at so many times the model's sides. */
  reconstruct(scale) {
    return this.#result(this.#wasm.reconstruct(scale));
  }

  /** How many golden samples were tried, and the largest error of a logit. */
  selfTest() {
    const samples = this.#wasm.self_test();
    if (samples < 0) throw this.#error();
    return { samples, maxError: this.#output(1)[0] };
  }

  #begin(numbers) {
    new Float32Array(this.#wasm.memory.buffer, this.#wasm.input(), numbers.length).set(numbers);
    this.#wasm.begin();
  }

  #step() {
    const status = this.#wasm.step();
    if (status < 0) throw this.#error();
    return status === 1;
  }

  #logits() {
    return this.#result(this.#wasm.logits());
  }

  #psnr() {
    const psnr = this.#wasm.psnr();
    if (Number.isNaN(psnr)) throw this.#error();
    return psnr;
  }

  #result(length) {
    if (!length) throw this.#error();
    return this.#output(length);
  }

  #output(length) {
    return new Float32Array(this.#wasm.memory.buffer, this.#wasm.output(), length).slice();
  }

  #text() {
    const bytes = new Uint8Array(this.#wasm.memory.buffer, this.#wasm.text(), this.#wasm.text_len());
    return new TextDecoder().decode(bytes);
  }

  #error() {
    return new Error(this.#text());
  }
}

export function softmax(logits) {
  const most = Math.max(...logits);
  const exponentials = Array.from(logits, (logit) => Math.exp(logit - most));
  const sum = exponentials.reduce((a, b) => a + b, 0);
  return exponentials.map((value) => value / sum);
}
