// Times the page's two modules under node, as the page calls them: for each model the least of many fits with their
// classification, in ms.
//
//     ./run.sh build && node bench.mjs [SECONDS] [FOLDER]
import { readFile } from "node:fs/promises";

import { Mwt } from "./page/mwt.js";

const seconds = Number(process.argv[2] ?? 2);
const folder = process.argv[3] ?? new URL("dist", import.meta.url).pathname;
const file = (name) => readFile(`${folder}/${name}`);

for (const model of ["mnist-micro", "mnist-small", "gestures"]) {
  const bundle = await file(`models/${model}.mwt`);
  const modules = [];
  for (const module of ["mwt-simd.wasm", "mwt.wasm"]) {
    const { instance } = await WebAssembly.instantiate(await file(module), {});
    const mwt = new Mwt(instance.exports);
    const { isa } = mwt.load(bundle);
    modules.push({ mwt, numbers: mwt.golden(0), name: `${module} (${isa})`, least: Infinity, fits: 0 });
  }
  // In turn, so that what else the machine does meets both alike.
  for (const end = performance.now() + 1000 * seconds; performance.now() < end; ) {
    for (const module of modules) {
      module.least = Math.min(module.least, module.mwt.classify(module.numbers).milliseconds);
      module.fits++;
    }
  }
  for (const { name, least, fits } of modules) console.log(`${model}: ${name} ${least.toFixed(3)} ms, of ${fits}`);
}
