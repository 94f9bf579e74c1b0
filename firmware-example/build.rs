//! Chooses the board's memory and the bundle: `MWT_BOARD` names a file in `boards`, `MWT_BUNDLE` a bundle.

use std::path::PathBuf;
use std::{env, fs};

/// Boards with the clock of their cycle counter in Hz.
const BOARDS: [(&str, u32); 5] = [
    ("mps2-an386", 25_000_000),
    ("mps2-an500", 25_000_000),
    ("mps3-an547", 32_000_000),
    ("netduinoplus2", 168_000_000),
    ("virt", 0), // counts instructions itself
];

fn main() {
    let riscv = env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|arch| arch.starts_with("riscv"));
    let default = if riscv { "virt" } else { "mps2-an386" };
    let board = env::var("MWT_BOARD").unwrap_or_else(|_| default.into());
    let names = BOARDS.map(|(name, _)| name).join(", ");
    let Some((_, clock)) = BOARDS.iter().find(|(name, _)| *name == board) else {
        panic!("MWT_BOARD={board} is none of {names}");
    };

    let here = PathBuf::from(env::var("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let out = PathBuf::from(env::var("OUT_DIR").expect("cargo sets it"));
    let layout = here.join("boards").join(format!("{board}.x"));
    fs::copy(&layout, out.join("memory.x")).expect("the board's memory layout");

    let bundle = env::var("MWT_BUNDLE").map_or(here.join("model.mwt"), PathBuf::from);
    let bundle = fs::canonicalize(&bundle)
        .unwrap_or_else(|e| panic!("MWT_BUNDLE={}: {e}", bundle.display()));

    println!("cargo::rustc-link-search={}", out.display());
    if riscv {
        println!("cargo::rustc-link-arg-bins=-Tmemory.x");
    }
    println!("cargo::rustc-link-arg-bins=-Tlink.x");
    println!("cargo::rustc-env=MWT_BUNDLE={}", bundle.display());
    println!("cargo::rustc-env=MWT_CLOCK_HZ={clock}");
    println!("cargo::rerun-if-env-changed=MWT_BOARD");
    println!("cargo::rerun-if-env-changed=MWT_BUNDLE");
    println!("cargo::rerun-if-changed={}", layout.display());
    println!("cargo::rerun-if-changed={}", bundle.display());
}
