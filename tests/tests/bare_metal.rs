//! The firmware under QEMU: the bits of the host's portable kernels, for the models of the example and for every bundle of
//! the conformance set, and its modelled cycles and bytes within `firmware-example/budget.txt`.
//!
//! `firmware-example/run.sh` builds and runs it; where that finds no toolchain or no QEMU these tests say so and pass.
//! `MWT_IMAGES` names other images to send in than the variants of the bundle's own: raw bytes, one after the other.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use mwt_infer::kernels::Portable;
use mwt_infer::{
    Arithmetic, Bundle, Classifier, Isa, Numbers, Range, SampleSource, Signal, WorkspaceBuf,
};
use mwt_tests::kernels::{self, Memory};
use mwt_tests::window::{Reading, Window};
use safetensors::SafeTensors;

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
    host.set_arithmetic(Arithmetic::Int8);
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

/// A board of one's own is one file, wherever it lies: here an M4F with less memory than any of the example's.
#[test]
fn a_board_of_ones_own_is_one_file() {
    let dir = tempfile::tempdir().expect("a folder");
    let board = dir.path().join("own.x");
    let file = "/* A board of my own.\n *\n * target: thumbv7em-none-eabihf\n * clock: 25000000\n \
                * qemu: qemu-system-arm -M mps2-an386\n */\n\
                MEMORY\n{\n  FLASH : ORIGIN = 0x00000000, LENGTH = 192K\n  \
                RAM : ORIGIN = 0x20000000, LENGTH = 64K\n}\n";
    fs::write(&board, file).expect("a file");
    same_bits(board.to_str().expect("a path"));
}

/// Every kernel gives the same bits there as here, whatever the sides of its operands.
fn same_kernels(board: &str) {
    let Some(report) = run(&["-b", board, "-p", "kernels"]) else { return };
    let mut found = report.lines();
    let mut memory = Box::new(Memory::new());
    let mut count = 0;
    kernels::run(Portable, &mut memory, &mut |name, hash| {
        assert_eq!(found.next(), Some(format!("{name} {hash:016x}").as_str()));
        count += 1;
    });
    assert_eq!(found.next(), None);
    println!("{board}: {count} kernels with the host's bits");
}

#[test]
fn kernels_of_a_cortex_m4f_give_the_bits_of_the_host() {
    same_kernels("mps2-an386");
}

#[test]
fn kernels_of_a_cortex_m55_give_the_bits_of_the_host() {
    same_kernels("mps3-an547");
}

/// The bits of some values as the firmware prints them.
fn bits(values: &[f32]) -> Vec<String> {
    values.iter().map(|value| format!("{:08x}", value.to_bits())).collect()
}

#[test]
fn cortex_m4f_gives_the_bits_of_the_host_for_every_bundle_of_the_conformance_set() {
    same_bits_of_the_conformance_set("mps2-an386");
}

#[test]
fn cortex_m55_gives_the_bits_of_the_host_for_every_bundle_of_the_conformance_set() {
    same_bits_of_the_conformance_set("mps3-an547");
}

/// Runs every input of the set here and on a board, in both arithmetics, and compares φ and logits bit for bit.
fn same_bits_of_the_conformance_set(board: &str) {
    let set = Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance");
    let mut count = 0;
    for entry in fs::read_dir(&set).expect("the set") {
        let path = entry.expect("a file").path();
        if path.extension().is_none_or(|extension| extension != "mwt") {
            continue;
        }
        let bytes = fs::read(&path).expect("a bundle");
        let bundle = Bundle::parse(&bytes).expect("a bundle");
        let expect = fs::read(path.with_extension("safetensors")).expect("what is expected");
        let expect = SafeTensors::deserialize(&expect).expect("what is expected");
        let inputs = expect.tensor("inputs").expect("inputs").data();
        let file = tempfile::NamedTempFile::new().expect("a file");
        fs::write(file.path(), inputs).expect("a file");
        let files = [&path, file.path()].map(|path| path.to_str().expect("a path"));
        let Some(report) = run(&[&["-b", board, "-p", "any_bundle"][..], &files].concat()) else {
            return;
        };

        let config = *bundle.config();
        let mut workspace = WorkspaceBuf::new(&config);
        let mut host = Classifier::new(&bundle, workspace.as_mut_slice())
            .expect("fits")
            .with_isa(Isa::PORTABLE);
        let mut lines = report.lines();
        let len = config.extents.positions() * config.channels;
        let inputs = inputs.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b));
        for numbers in inputs.collect::<Vec<_>>().chunks_exact(len) {
            let signal = Signal::new(Numbers::F32(numbers), config.extents, config.channels);
            let signal = signal.expect("a signal");
            for arithmetic in [Arithmetic::F32, Arithmetic::Int8] {
                host.set_arithmetic(arithmetic);
                host.fit(&signal).expect("fits");
                for (name, values) in [
                    ("phi", host.phi().expect("fitted").to_vec()),
                    ("logits", host.logits().expect("logits").to_vec()),
                ] {
                    let found = lines.next().expect("a line").split(' ').collect::<Vec<_>>();
                    assert_eq!(found[0], name);
                    let same = found[1..] == bits(&values);
                    assert!(same, "{}: {name} {arithmetic:?}", path.display());
                }
            }
            count += 1;
        }
        assert_eq!(lines.next(), None);
    }
    assert!(count >= 27, "{count} inputs");
    println!("{board}: {count} inputs with the host's bits");
}

/// A slot of the gesture example in milliseconds, and what one of its numbers is in g.
const PERIOD: u64 = 20;
const UNIT: f32 = 1.0 / 2048.0;

/// What a sensor gives while a hand makes the gestures of the bundle's own samples: late and early by up to 6 ms, every
/// seventh reading lost, and a stretch of twelve.
fn readings(bundle: &Bundle<'_>) -> Vec<Reading<3>> {
    let numbers = |sample: mwt_infer::mwt_core::bundle::GoldenSample<'_>| {
        let signal = Numbers::Encoded(bundle.header().input.sample, sample.signal);
        (0..signal.len()).map(|i| (signal.get(i) / UNIT).round() as i16).collect::<Vec<_>>()
    };
    let gestures: Vec<_> = bundle.golden_samples().flat_map(numbers).collect();
    let slots = gestures.as_chunks::<3>().0.iter().cycle().take(200).enumerate();
    slots
        .filter(|(slot, _)| slot % 7 != 3 && !(90..102).contains(slot))
        .map(|(slot, values)| Reading {
            time: slot as u64 * PERIOD + slot as u64 * 5 % 13,
            values: *values,
        })
        .collect()
}

#[test]
fn a_ring_of_readings_is_classified_step_by_step_with_the_bits_of_the_host() {
    let bytes = fs::read(folder().join("../models/gestures.mwt")).expect("gestures.mwt");
    let bundle = Bundle::parse(&bytes).expect("a bundle");
    let readings = readings(&bundle);
    let file = tempfile::NamedTempFile::new().expect("a file");
    let encoded = readings.iter().flat_map(|reading| {
        let values = reading.values.map(i16::to_le_bytes);
        [&reading.time.to_le_bytes(), values.as_flattened()].concat()
    });
    fs::write(file.path(), encoded.collect::<Vec<u8>>()).expect("a file");
    let file = file.path().to_str().expect("a path");
    let Some(report) = run(&["-p", "gestures", file]) else { return };
    let said = |report: &str| {
        let lines = report.lines().filter(|line| line.starts_with("slot ")).map(str::to_owned);
        lines.collect::<Vec<_>>()
    };
    // The same in C, on the host and on the board.
    let model = folder().join("../models/gestures.mwt");
    let model = model.to_str().expect("a path");
    if let Some(c) = script("../mwt-ffi/check.sh", &["-p", "gestures", model, file]) {
        assert_eq!(said(&c), said(&report));
    }

    let mut workspace = WorkspaceBuf::new(bundle.config());
    let mut host =
        Classifier::new(&bundle, workspace.as_mut_slice()).expect("fits").with_isa(Isa::PORTABLE);
    let lines = said(&report);
    assert!(lines.len() >= 8, "{report}");
    let (mut window, mut readings) = (Window::<64, 3>::new(PERIOD, UNIT), readings.iter());
    for line in lines {
        let slot: u64 = line.split(' ').nth(1).expect("a slot").parse().expect("a number");
        assert!(readings.any(|reading| window.push(reading) == slot), "{line}");
        let there = after(&line, "readings").next().expect("a count");
        assert_eq!(there, window.readings().to_string(), "{line}");
        assert!(window.readings() < 64);
        host.fit(&window).expect("fits");
        assert_eq!(
            after(&line, "logits").collect::<Vec<_>>(),
            bits(host.logits().expect("logits"))
        );
    }
}

#[test]
fn a_window_has_what_fell_into_its_slots() {
    let mut window = Window::<4, 1>::new(10, 1.0);
    let there = |window: &Window<4, 1>| (0..4).map(|i| window.is_there(i)).collect::<Vec<_>>();
    let push = |window: &mut Window<4, 1>, time, value| {
        window.push(&Reading { time, values: [value] });
    };
    assert_eq!(there(&window), [false; 4]);
    push(&mut window, 0, 1);
    assert_eq!(there(&window), [false, false, false, true]);
    // Nearest to slots 2 and 3; nothing falls into slot 1.
    push(&mut window, 24, 2);
    push(&mut window, 25, 3);
    assert_eq!(there(&window), [true, false, true, true]);
    // What comes late still finds its slot; what is older than the window is left out.
    push(&mut window, 11, 4);
    push(&mut window, 44, 5);
    push(&mut window, 3, 6);
    assert_eq!(there(&window), [true, true, true, true]);
    let mut values = [0.0];
    let input = mwt_infer::mwt_core::bundle::Input::PICTURE;
    let mut value = |window: &Window<4, 1>, index| {
        window.values(index, &input, &mut values);
        (values[0] * 127.5 + 127.5).round()
    };
    assert_eq!([0, 1, 2, 3].map(|index| value(&window, index)), [4.0, 2.0, 3.0, 5.0]);
    // A long silence empties it.
    push(&mut window, 1_000, 7);
    assert_eq!(there(&window), [false, false, false, true]);
    assert_eq!(window.readings(), 1);
}

/// The static library links without its panic hook, and C prints the same bits on a host and on a Cortex-M4F and M55: both
/// are the script's to check.
#[test]
fn the_c_library_cannot_panic_and_agrees_with_the_host() {
    let model = folder().join("model.mwt");
    let bytes = fs::read(&model).expect("model.mwt");
    let images = images(&Bundle::parse(&bytes).expect("a bundle"));
    let file = tempfile::NamedTempFile::new().expect("a file");
    fs::write(file.path(), &images).expect("a file");
    let paths = [model.to_str().expect("a path"), file.path().to_str().expect("a path")];
    for target in ["thumbv7em-none-eabihf", "thumbv8m.main-none-eabihf"] {
        let arguments = [&["-t", target][..], &paths].concat();
        let Some(report) = script("../mwt-ffi/check.sh", &arguments) else { return };
        let lines = report.lines().filter(|l| l.starts_with("image ")).count();
        assert_eq!(lines, images.len() / (28 * 28), "{report}");
    }
}

/// All of the C interface, on a host and on the board, with its FPU and without, gives what Rust does.
#[test]
fn c_does_whatever_rust_does_with_its_bits() {
    let model = folder().join("model.mwt");
    let bytes = fs::read(&model).expect("model.mwt");
    let bundle = Bundle::parse(&bytes).expect("a bundle");
    let image = bundle.golden_samples().next().expect("a sample").signal;
    let file = tempfile::NamedTempFile::new().expect("a file");
    fs::write(file.path(), image).expect("a file");
    let paths = [&model, file.path()].map(|path| path.to_str().expect("a path"));
    let Some(report) = script("../mwt-ffi/check.sh", &[&["-p", "tour"][..], &paths].concat())
    else {
        return;
    };
    // Which takes long: one image.
    let soft = ["-t", "thumbv7em-none-eabi"];
    let soft = script("../mwt-ffi/check.sh", &[&soft[..], &paths].concat());

    let mut workspace = WorkspaceBuf::new(bundle.config());
    let mut host =
        Classifier::new(&bundle, workspace.as_mut_slice()).expect("fits").with_isa(Isa::PORTABLE);
    let said = |name: &str| {
        let mut lines = report.lines().filter_map(|line| line.strip_prefix(&format!("{name} ")));
        lines.next().expect(name).split(' ').map(str::to_owned).collect::<Vec<_>>()
    };
    let whole = Signal::grey(image, 28, 28).expect("an image");
    let there: Vec<u8> = (0..98usize)
        .map(|byte| (0..8).map(|bit| u8::from((8 * byte + bit) % 3 != 0) << bit).sum())
        .collect();
    host.fit(&whole).expect("fits");
    for name in ["whole", "single"] {
        assert_eq!(said(name), bits(host.logits().expect("logits")), "{name}");
    }
    if let Some(soft) = soft {
        let line = soft.lines().find(|line| line.starts_with("image 0 ")).expect("an image");
        assert_eq!(after(line, "logits").collect::<Vec<_>>(), said("whole"));
    }
    let quality = host.quality(&whole).expect("fitted");
    assert_eq!(said("psnr"), bits(&[quality.psnr]));
    let mut drawn = [0u8; 56 * 56];
    host.reconstruct(mwt_infer::Extents::image(56, 56), &mut drawn).expect("fitted");
    let sum = drawn.iter().fold(0u64, |sum, byte| (sum * 31 + u64::from(*byte)) % 1_000_003);
    assert_eq!(said("drawn"), [sum.to_string()]);
    host.fit(&whole.with_bits(&there).expect("a mask")).expect("fits");
    assert_eq!(said("masked"), bits(host.logits().expect("logits")));
    host.set_range(Range::Clamped(0.5));
    host.fit(&whole).expect("fits");
    assert_eq!(said("clamped"), bits(host.logits().expect("logits")));
    host.set_range(Range::Any);
    for (name, arithmetic) in [("int8", Arithmetic::Int8), ("f32", Arithmetic::F32)] {
        host.set_arithmetic(arithmetic);
        host.fit(&whole).expect("fits");
        assert_eq!(said(name), bits(host.logits().expect("logits")), "{name}");
    }
    assert_ne!(said("int8"), said("f32"));
    assert_eq!(said("f32"), said("whole"));
    assert!(report.contains("8 of 8 flipped bits noticed"), "{report}");
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
fn cycles_stay_within_the_budget() {
    let Some(report) = run(&["-b", "mps2-an386", "--cycles"]) else { return };
    let line = report.lines().find(|l| l.starts_with("golden 0 ")).expect("a golden sample");
    let (instructions, cycles) = line.split_once(" cycles ").expect("cycles");
    for phase in ["fit", "transformer", "psnr"] {
        let count = |part: &str| -> u64 {
            let found = after(&format!(" {part}"), phase).next().expect("a count").parse();
            found.expect("a number")
        };
        // A sanity check of the model: no instruction takes less than a cycle, few more than three.
        let (instructions, cycles) = (count(instructions), count(cycles));
        println!("{phase}: {instructions} instructions");
        assert!(instructions <= cycles && cycles < 3 * instructions, "{line}");
        within(phase, cycles);
    }
}

/// Of an M55 nobody models the cycles.
#[test]
fn instructions_of_a_cortex_m55_stay_within_the_budget() {
    let Some(report) = run(&["-b", "mps3-an547"]) else { return };
    let line = report.lines().find(|l| l.starts_with("golden 0 ")).expect("a golden sample");
    for phase in ["fit", "transformer", "psnr"] {
        let count = after(line, phase).next().expect("a count").parse().expect("a number");
        within(&format!("m55-{phase}"), count);
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
