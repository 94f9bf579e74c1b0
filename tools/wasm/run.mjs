// Runs a program for wasm32-wasip1 under node: the tests of mwt-infer's SIMD128 kernels.
//
//     CARGO_TARGET_WASM32_WASIP1_RUNNER="node --no-warnings $PWD/tools/wasm/run.mjs" RUSTFLAGS=-Ctarget-feature=+simd128 \
//         cargo test -p mwt-infer --target wasm32-wasip1 --lib
import { readFile } from "node:fs/promises";
import { argv } from "node:process";
import { WASI } from "node:wasi";

const [, , program, ...rest] = argv;
const wasi = new WASI({
  version: "preview1",
  args: [program, ...rest],
  env: {},
  preopens: { "/": "/" },
  returnOnExit: false,
});
const imports = { wasi_snapshot_preview1: wasi.wasiImport };
const { instance } = await WebAssembly.instantiate(await readFile(program), imports);
wasi.start(instance);
