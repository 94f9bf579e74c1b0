// Which samples are missing: those that a person took away, and a share taken at random.

/** A number in [0, 1) for each index: always the same, so that a larger share misses what a smaller one misses, and more. */
function chance(index) {
  let x = Math.imul(index + 1, 0x9e3779b1);
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return ((x ^ (x >>> 16)) >>> 0) / 2 ** 32;
}

export class Gaps {
  #taken;

  constructor(samples) {
    this.#taken = new Uint8Array(samples);
    this.share = 0;
  }

  /** Takes a sample away, or gives it back. */
  set(index, missing) {
    if (index >= 0 && index < this.#taken.length) this.#taken[index] = missing ? 1 : 0;
  }

  clear() {
    this.#taken.fill(0);
  }

  missing(index) {
    return this.#taken[index] === 1 || chance(index) < this.share;
  }

  /** The numbers with NaN for what is missing, channels interleaved. */
  applied(numbers, channels) {
    return numbers.map((number, i) => (this.missing(Math.floor(i / channels)) ? NaN : number));
  }
}
