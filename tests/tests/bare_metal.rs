//! The firmware under QEMU: the bits of the host's portable kernels, and its instructions and bytes within
//! `firmware-example/budget.txt`.
//!
//! `firmware-example/run.sh` builds and runs it; where that finds no toolchain or no QEMU these tests say so and pass.
//! `MWT_IMAGES` names other images to send in than the variants of the bundle's own: raw bytes, one after the other.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use mwt_infer::{Bundle, Classifier, Isa, Signal, WorkspaceBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../firmware-example")
}

/// What `run.sh` printed; `None` where the machine lacks a tool.
fn run(arguments: &[&str]) -> Option<String> {
    script("run.sh", arguments)
}

fn script(name: &str, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new(folder().join(name));
    // The host's flags and target are none of the firmware's.
    for name in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_TARGET_DIR", "RUSTC", "MWT_BUNDLE"]
    {
        command.env_remove(name);
    }
    let Output { status, stdout, stderr } = command.args(arguments).output().expect("run.sh");
    let (out, err) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    if status.code() == Some(3) {
        eprintln!("skipped: {}", err.trim());
        return None;
    }
    assert!(status.success(), "{arguments:?}: {status}\n{out}{err}");
    Some(out.into_owned())
}

/// The numbers behind `key` in a line of the report.
fn after<'a>(line: &'a str, key: &str) -> impl Iterator<Item = &'a str> {
    let rest = line.split_once(&format!(" {key} ")).map_or("", |(_, rest)| rest);
    rest.split_whitespace()
}

/// Images to send in, one after the other: the bundle's own, each moved by a few pixels.
fn images(bundle: &Bundle<'_>) -> Vec<u8> {
    if let Some(path) = std::env::var_os("MWT_IMAGES") {
        return fs::read(path).expect("MWT_IMAGES");
    }
    let shifts = [0, 1, 28, 59, 783];
    let moved = |shift| {
        bundle.golden_samples().map(move |s| [&s.signal[shift..], &s.signal[..shift]].concat())
    };
    shifts.into_iter().flat_map(moved).flatten().collect()
}

/// Runs the same images here and on a board and compares class and logits bit for bit.
fn same_bits(board: &str) {
    let bytes = fs::read(folder().join("model.mwt")).expect("model.mwt");
    let bundle = Bundle::parse(&bytes).expect("a bundle");
    let config = *bundle.config();
    let images = images(&bundle);
    let file = tempfile::NamedTempFile::new().expect("a file");
    fs::write(file.path(), &images).expect("a file");
    let Some(report) = run(&["-b", board, file.path().to_str().expect("a path")]) else { return };

    let mut workspace = WorkspaceBuf::new(&config);
    let mut host =
        Classifier::new(&bundle, workspace.as_mut_slice()).expect("fits").with_isa(Isa::PORTABLE);
    let lines: Vec<&str> = report.lines().filter(|l| l.starts_with("image ")).collect();
    let images = images.chunks_exact(config.extents.positions());
    assert!(images.len() > 1);
    assert_eq!(lines.len(), images.len(), "{report}");
    let count = lines.len();
    for (line, image) in lines.into_iter().zip(images) {
        let image = Signal::new(image, config.extents, config.channels).expect("an image");
        host.fit(&image).expect("fits");
        let class = host.top_k::<1>().expect("a class")[0].class.to_string();
        assert_eq!(after(line, "class").next(), Some(class.as_str()), "{line}");
        let want = host.logits().expect("logits").iter().map(|l| format!("{:08x}", l.to_bits()));
        assert_eq!(after(line, "logits").collect::<Vec<_>>(), want.collect::<Vec<_>>(), "{line}");
    }
    println!("{board}: {count} images with the host's bits");
}

#[test]
fn cortex_m4f_gives_the_bits_of_the_host() {
    same_bits("mps2-an386");
}

#[test]
fn cortex_m7_gives_the_bits_of_the_host() {
    same_bits("mps2-an500");
}

#[test]
fn cortex_m55_gives_the_bits_of_the_host() {
    same_bits("mps3-an547");
}

#[test]
fn riscv_gives_the_bits_of_the_host() {
    same_bits("virt");
}

/// The static library links without its panic hook, and C prints the same bits on a host and on a Cortex-M4F: both are
/// the script's to check.
#[test]
fn the_c_library_cannot_panic_and_agrees_with_the_host() {
    let model = folder().join("model.mwt");
    let bytes = fs::read(&model).expect("model.mwt");
    let images = images(&Bundle::parse(&bytes).expect("a bundle"));
    let file = tempfile::NamedTempFile::new().expect("a file");
    fs::write(file.path(), &images).expect("a file");
    let paths = [model.to_str().expect("a path"), file.path().to_str().expect("a path")];
    let Some(report) = script("../mwt-ffi/check.sh", &paths) else { return };
    let lines = report.lines().filter(|l| l.starts_with("image ")).count();
    assert_eq!(lines, images.len() / (28 * 28), "{report}");
}

/// The limits of `budget.txt`, one a line: name, then number.
fn budget() -> BTreeMap<String, u64> {
    let text = fs::read_to_string(folder().join("budget.txt")).expect("budget.txt");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, limit) = line.split_once(' ').expect("name and number");
            (name.to_owned(), limit.trim().parse().expect("a number"))
        })
        .collect()
}

/// At most 3 % above the budget.
fn within(name: &str, found: u64) {
    let limit = budget()[name];
    println!("{name}: {found}, budget {limit}");
    assert!(found * 100 <= limit * 103, "{name} takes {found}, its budget is {limit}");
}

#[test]
fn instructions_stay_within_the_budget() {
    let Some(report) = run(&["-b", "mps2-an386"]) else { return };
    let line = report.lines().find(|l| l.starts_with("golden 0 ")).expect("a golden sample");
    for phase in ["fit", "transformer", "psnr"] {
        let found = after(line, phase).next().expect("a count");
        within(phase, found.parse().expect("a number"));
    }
}

/// Sizes of the named sections of a 32-bit little-endian ELF file.
fn sections(elf: &[u8]) -> BTreeMap<String, u64> {
    let half = |at: usize| usize::from(u16::from_le_bytes([elf[at], elf[at + 1]]));
    let word =
        |at: usize| u32::from_le_bytes(elf[at..at + 4].try_into().expect("4 bytes")) as usize;
    let (table, size, count, names) = (word(32), half(46), half(48), half(50));
    let names = word(table + names * size + 16);
    (0..count)
        .map(|n| {
            let section = table + n * size;
            let name = elf[names + word(section)..].split(|b| *b == 0).next().expect("a name");
            (String::from_utf8_lossy(name).into_owned(), word(section + 20) as u64)
        })
        .collect()
}

#[test]
fn code_and_ram_stay_within_the_budget() {
    // The board with the memory of a real part.
    let Some(path) = run(&["-b", "netduinoplus2", "-n"]) else { return };
    let elf = sections(&fs::read(path.trim()).expect("the program"));
    let model = fs::metadata(folder().join("model.mwt")).expect("model.mwt").len();
    within("code", elf[".text"]);
    within("constants", elf[".rodata"] - model);
    within("ram", elf[".data"] + elf[".bss"]);
    assert!(model <= 64 * 1024, "the bundle has {model} bytes");
}
