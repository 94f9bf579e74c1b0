//! Says which instructions a 32-bit Arm core has, of which rustc tells nothing on a stable toolchain:
//!
//! | cfg | instructions | where |
//! |---|---|---|
//! | `mwt_dsp` | the DSP extension and an FPU | Armv7E-M; Armv8-M where `-Ctarget-cpu` names a core that has it |
//! | `mwt_mve` | the vectors of f32 and integers of Helium | Armv8.1-M where `-Ctarget-cpu` names a core that has them |
//! | `mwt_fpv4` | f32 whose multiply-add costs more than a product and a sum | Armv7E-M with an FPU, but for the Cortex-M7 |

use std::env;

fn main() {
    println!("cargo::rustc-check-cfg=cfg(mwt_dsp, mwt_mve, mwt_fpv4)");
    println!("cargo::rerun-if-changed=build.rs");
    let target = env::var("TARGET").unwrap_or_default();
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    let cpu = |name| flags.contains(&format!("target-cpu={name}"));

    let v7em = target == "thumbv7em-none-eabihf";
    let v8m = target == "thumbv8m.main-none-eabihf";
    // Parts that leave the vectors out are told so: `-Ctarget-feature=-mve` or `-mve.fp`.
    let helium = ["cortex-m52", "cortex-m55", "cortex-m85"].into_iter().any(cpu);
    if v8m && helium && !flags.contains("-mve") {
        println!("cargo::rustc-cfg=mwt_mve");
    } else if v7em || v8m && (helium || cpu("cortex-m33") || cpu("cortex-m35p")) {
        println!("cargo::rustc-cfg=mwt_dsp");
    }
    if v7em && !cpu("cortex-m7") {
        println!("cargo::rustc-cfg=mwt_fpv4");
    }
}
