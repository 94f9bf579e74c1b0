//! The worst-case stack of the library on a Cortex-M4F, in two ways.
//!
//! For the C library as it is installed: the deepest path through the call graph of everything that C may call, with the
//! frames that rustc reports. The graph is complete: the test fails on recursion, which would have no bound, and on a call
//! through a pointer other than the caller's hook.
//!
//! For other build profiles, in Rust and in C: memory below the stack pointer is painted before the calls, under QEMU,
//! and looked at after them.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};

/// Workspace of `micro` and stack together: the RAM that the project promises.
const RAM: u64 = 48 * 1024;

/// A function of the program.
#[derive(Default)]
struct Function {
    name: String,
    /// Bytes of its frame.
    frame: u64,
    calls: Vec<u64>,
    /// Whether it calls through a pointer.
    indirect: bool,
}

fn hex(text: &str) -> Option<u64> {
    u64::from_str_radix(text.trim(), 16).ok()
}

/// Reads objdump's disassembly. A frame is what the code pushes and takes off sp, for those functions, written in
/// assembly, of which rustc reports none.
fn functions(disassembly: &str) -> BTreeMap<u64, Function> {
    let mut all = BTreeMap::<u64, Function>::new();
    for line in disassembly.lines() {
        let head = line.strip_suffix(">:").and_then(|l| l.split_once(" <"));
        if let Some((address, name)) = head.and_then(|(a, name)| Some((hex(a)?, name))) {
            all.insert(address, Function { name: name.to_owned(), ..Function::default() });
            continue;
        }
        let Some(mut entry) = all.last_entry() else { continue };
        let function = entry.get_mut();
        let mut fields = line.split('\t').skip(1);
        let (operation, operands) = (fields.next().unwrap_or(""), fields.next().unwrap_or(""));
        match operation.trim().trim_end_matches(".w").trim_end_matches(".n") {
            "push" | "stmdb" => function.frame += 4 * (operands.matches(',').count() as u64 + 1),
            "blx" | "bx" if operands.starts_with('r') || operands == "ip" => {
                function.indirect = true
            }
            b if b.starts_with('b') || b.starts_with("cb") => {
                // The target of a branch that leaves the function is another one's start.
                let target = operands.rsplit_once(", ").map_or(operands, |(_, target)| target);
                if let Some((address, name)) = target.split_once(" <")
                    && !name.contains('+')
                {
                    function.calls.extend(hex(address));
                }
            }
            _ => {}
        }
    }
    all
}

/// The section that `-Zemit-stack-sizes` writes: an address of four bytes, then a size in LEB128, and so on.
fn frames(mut section: &[u8]) -> BTreeMap<u64, u64> {
    let mut frames = BTreeMap::new();
    while let Some((address, rest)) = section.split_first_chunk::<4>() {
        let length = rest.iter().position(|b| b & 0x80 == 0).expect("a last byte") + 1;
        let size = rest[..length].iter().rev().fold(0, |sum, b| sum << 7 | u64::from(b & 0x7f));
        frames.insert(u64::from(u32::from_le_bytes(*address)), size);
        section = &rest[length..];
    }
    frames
}

/// Bytes of the deepest path from `address` on.
fn depth(all: &BTreeMap<u64, Function>, address: u64, path: &mut Vec<u64>) -> u64 {
    let function = &all[&address];
    assert!(!path.contains(&address), "{} is recursive", function.name);
    // The caller's hook runs on the caller's account.
    let hook = function.name.contains("mwt_hook");
    assert!(hook || !function.indirect, "{} calls through a pointer", function.name);
    path.push(address);
    let calls = function.calls.iter().filter(|call| **call != address && all.contains_key(call));
    let deepest = calls.map(|call| depth(all, *call, path)).max().unwrap_or(0);
    path.pop();
    function.frame + deepest
}

/// What a script printed; `None` where the machine lacks a tool.
fn script(path: &str, arguments: &[&str]) -> Option<String> {
    let mut script = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path));
    // The host's flags and target are none of the board's.
    for name in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_TARGET_DIR", "RUSTC", "MWT_BUNDLE"]
    {
        script.env_remove(name);
    }
    let Output { status, stdout, stderr } = script.args(arguments).output().expect(path);
    let (out, err) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    if status.code() == Some(3) {
        eprintln!("skipped: {}", err.trim());
        return None;
    }
    assert!(status.success(), "{path} {arguments:?}: {status}\n{out}{err}");
    Some(out.into_owned())
}

const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../firmware-example/model.mwt");

/// The bytes in the line `stack BYTES bytes`.
fn painted(report: &str) -> usize {
    let line = report.lines().find_map(|line| line.strip_prefix("stack "));
    let bytes = line.and_then(|line| line.strip_suffix(" bytes"));
    bytes.expect(report).parse().expect("a number")
}

/// That a program of some profile needs no more stack than is said, and more than one that does nothing would.
fn holds(language: &str, profile: &str, report: Option<String>) {
    let Some(report) = report else { return };
    let stack = painted(&report);
    let limit = match profile {
        "unoptimized" => mwt_infer::STACK_UNOPTIMIZED,
        // The example optimizes what it depends on, C's library is nothing else.
        "dev" if language == "C" => mwt_infer::STACK_UNOPTIMIZED,
        "dev" => 2 * mwt_infer::STACK_PORTABLE,
        _ => mwt_infer::STACK_PORTABLE,
    };
    println!("{language}, {profile}: {stack} bytes of stack, {limit} said");
    assert!((1_000..=limit).contains(&stack), "{language}, {profile}: {stack}, {limit} said");
}

#[test]
fn the_stack_of_a_rust_program_holds_in_every_build_profile() {
    for profile in ["release", "plain", "size", "smallest", "dev", "unoptimized"] {
        let report = script("firmware-example/run.sh", &["-p", "stack", "-r", profile]);
        holds("Rust", profile, report);
    }
}

#[test]
fn the_stack_of_a_c_program_holds_in_every_build_profile() {
    for profile in ["release", "plain", "size", "smallest", "dev"] {
        holds("C", profile, script("mwt-ffi/board.sh", &["-r", profile, "stack", MODEL]));
    }
}

#[test]
fn workspace_and_worst_case_stack_fit_their_ram() {
    let images = tempfile::NamedTempFile::new().expect("a file");
    let images = images.path().to_str().expect("a path");
    if script("mwt-ffi/board.sh", &["classify", MODEL, images]).is_none() {
        return;
    }
    let target = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../mwt-ffi/target/thumbv7em-none-eabihf/release");
    let disassembly = Command::new("arm-none-eabi-objdump")
        .args(["-d", "--no-show-raw-insn", "all.elf"])
        .current_dir(&target)
        .output();
    let mut all = functions(&String::from_utf8_lossy(&disassembly.expect("binutils").stdout));
    let sizes = target.join("stack.bin");
    let dumped = Command::new("arm-none-eabi-objcopy")
        .args(["--dump-section", ".stack_sizes=stack.bin", "all.elf", "all.copy"])
        .current_dir(&target)
        .status();
    assert!(dumped.expect("binutils").success());
    let frames = frames(&std::fs::read(sizes).expect("the section"));
    assert!(frames.len() > 50, "{} frames", frames.len());
    for (address, frame) in frames {
        if let Some(function) = all.get_mut(&address) {
            function.frame = frame;
        }
    }
    let entries = all.iter().filter(|(_, f)| f.name.starts_with("mwt_") && f.name != "mwt_abort");
    let stack: BTreeMap<_, _> = entries
        .map(|(address, f)| (f.name.as_str(), depth(&all, *address, &mut Vec::new())))
        .collect();
    assert!(["mwt_classify", "mwt_step", "mwt_self_test"].iter().all(|name| stack[name] > 500));
    let workspace = 4 * mwt_infer::workspace_len(&mwt_infer::ModelConfig::MICRO) as u64;
    println!("stack {stack:?}, workspace {workspace} bytes");
    assert!(stack.values().all(|s| *s <= mwt_infer::STACK_PORTABLE as u64), "{stack:?}");
    assert!(stack.values().all(|s| s + workspace <= RAM), "{stack:?} + {workspace}");
}
