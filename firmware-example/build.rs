//! Reads the board, a file that `MWT_BOARD` names, and the bundle, `MWT_BUNDLE`: where what is linked lies, and the model's sizes as
//! constants.

use std::path::{Path, PathBuf};
use std::{env, fs};

use mwt_infer::{Bundle, workspace_len};

fn main() {
    let here = PathBuf::from(env::var("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let out = PathBuf::from(env::var("OUT_DIR").expect("cargo sets it"));
    println!("cargo::rerun-if-env-changed=MWT_BOARD");
    println!("cargo::rerun-if-env-changed=MWT_BUNDLE");
    board(&here, &out);
    bundle(&here, &out);
}

/// The memory that the linker has, and the clock by which QEMU counts.
fn board(here: &Path, out: &Path) {
    let riscv = env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|arch| arch.starts_with("riscv"));
    let default = if riscv { "virt" } else { "mps2-an386" };
    let board = env::var("MWT_BOARD").unwrap_or_else(|_| default.into());
    let file = if board.ends_with(".x") {
        PathBuf::from(&board)
    } else {
        here.join("boards").join(format!("{board}.x"))
    };
    println!("cargo::rerun-if-changed={}", file.display());
    let layout = fs::read_to_string(&file)
        .unwrap_or_else(|e| panic!("MWT_BOARD={board}: {}: {e}", file.display()));
    fs::write(out.join("memory.x"), &layout).expect("OUT_DIR");
    println!("cargo::rustc-link-search={}", out.display());
    if riscv {
        println!("cargo::rustc-link-arg-bins=-Tmemory.x");
    }
    println!("cargo::rustc-link-arg-bins=-Tlink.x");

    let fact = |name: &str| {
        let mut lines = layout.lines();
        lines
            .find_map(|line| line.trim().strip_prefix("* ")?.strip_prefix(name)?.strip_prefix(": "))
    };
    let clock = fact("clock").unwrap_or("0");
    assert!(clock.parse::<u32>().is_ok(), "{}: a clock of {clock} Hz", file.display());
    println!("cargo::rustc-env=MWT_CLOCK_HZ={clock}");
    // What counts without a cycle counter: under QEMU instructions, on a part cycles.
    let emulated = fact("qemu").is_some();
    println!("cargo::rustc-env=MWT_EMULATED={}", u8::from(emulated));
}

/// The bundle with the sizes that follow from it.
fn bundle(here: &Path, out: &Path) {
    let path = env::var("MWT_BUNDLE").map_or(here.join("model.mwt"), PathBuf::from);
    let bytes = fs::canonicalize(&path).and_then(fs::read);
    let bytes = bytes.unwrap_or_else(|e| panic!("MWT_BUNDLE={}: {e}", path.display()));
    println!("cargo::rerun-if-changed={}", path.display());
    let bundle =
        Bundle::parse(&bytes).unwrap_or_else(|e| panic!("MWT_BUNDLE={}: {e}", path.display()));
    let config = bundle.config();
    let values = config.extents.positions() * config.channels;
    let text = format!(
        "/// The bundle.\n\
         pub static BUNDLE: &[u8] = include_bytes!({:?});\n\
         /// f32 values of workspace that its model needs.\n\
         pub const WORKSPACE: usize = {};\n\
         /// Bytes of one of its signals.\n\
         pub const SIGNAL: usize = {};\n",
        path.canonicalize().expect("it was just read"),
        workspace_len(config),
        values * bundle.header().input.sample.bytes(),
    );
    fs::write(out.join("model.rs"), text).expect("OUT_DIR");
}
