//! A bundle as source text: what firmware compiles in instead of reading a file.

use std::fmt::Write as _;

use mwt_core::Bundle;
use mwt_infer::workspace_len;

use crate::util::text::shown;

/// What stands at the top of both.
const HEAD: &str = "Written by `mwt-train export`; do not edit.";

/// Bytes in a line.
const LINE: usize = 16;

/// A Rust module: `BUNDLE`, aligned to a cache line, and its sizes and labels as constants.
pub fn rust(bytes: &[u8], bundle: &Bundle<'_>) -> String {
    let config = bundle.config();
    let labels: Vec<String> = bundle.header().labels().map(|l| format!("{l:?}")).collect();
    format!(
        "// {HEAD}\n\
         // {}\n\n\
         /// Bytes on a cache line of their own.\n\
         #[repr(C, align(64))]\n\
         pub struct Aligned<const N: usize>(pub [u8; N]);\n\n\
         /// The bundle, for `mwt_infer::Bundle::parse(&BUNDLE.0)`.\n\
         pub static BUNDLE: Aligned<{}> = Aligned([\n{}]);\n\n\
         /// f32 values of workspace: `mwt_infer::Workspace::<WORKSPACE_LEN>`.\n\
         pub const WORKSPACE_LEN: usize = {};\n\n\
         /// Sides of the grid that a signal has samples on: height and width of an image.\n\
         pub const EXTENTS: [usize; {}] = {:?};\n\n\
         /// Numbers of a sample.\n\
         pub const CHANNELS: usize = {};\n\n\
         /// Names of the classes, in the logits' order.\n\
         pub const LABELS: [&str; {}] = [{}];\n",
        origin(bundle),
        bytes.len(),
        rows(bytes),
        workspace_len(config),
        config.axes(),
        config.extents.sides(),
        config.channels,
        labels.len(),
        labels.join(", "),
    )
}

/// A C header with definitions, for one source file to include: the bundle, aligned to a cache line, its sizes and
/// labels, under names that begin with `prefix`: `mwt_bundle` and `MWT_CLASSES` for `mwt`. C99 or C++.
pub fn c(bytes: &[u8], bundle: &Bundle<'_>, prefix: &str) -> String {
    let config = bundle.config();
    let labels: Vec<String> = bundle.header().labels().map(c_string).collect();
    let upper = prefix.to_ascii_uppercase();
    format!(
        "/* {HEAD}\n\
         \x20* {}\n\
         \x20* Definitions: include it from one source file. */\n\
         #pragma once\n\n\
         {ALIGNED}\n\
         /* f32 values of workspace, and their bytes, as mwt_workspace_bytes() gives them. */\n\
         #define {upper}_WORKSPACE_LEN {}\n\
         #define {upper}_WORKSPACE_BYTES ({upper}_WORKSPACE_LEN * 4)\n\
         /* Samples of a signal, the sides of their grid (height and width of an image), numbers of a sample; classes. */\n\
         #define {upper}_POSITIONS {}\n\
         #define {upper}_AXES {}\n\
         #define {upper}_EXTENTS {{{}}}\n\
         #define {upper}_CHANNELS {}\n\
         #define {upper}_CLASSES {}\n\n\
         static const char *const {prefix}_labels[{upper}_CLASSES] = {{{}}};\n\n\
         MWT_ALIGNED static const unsigned char {prefix}_bundle[{}] = {{\n{}}};\n",
        // Nothing of the data set's name may end the comment, or seem to begin one.
        origin(bundle).replace("*/", "* /").replace("/*", "/ *"),
        workspace_len(config),
        config.extents.positions(),
        config.axes(),
        config.extents.sides().iter().map(usize::to_string).collect::<Vec<_>>().join(", "),
        config.channels,
        labels.len(),
        labels.join(", "),
        bytes.len(),
        rows(bytes),
    )
}

/// How compilers are told to align, those from before C11 as well.
const ALIGNED: &str = "\
#ifndef MWT_ALIGNED
#if defined(__cplusplus) && __cplusplus >= 201103L
#define MWT_ALIGNED alignas(64)
#elif !defined(__cplusplus) && defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
#define MWT_ALIGNED _Alignas(64)
#elif defined(_MSC_VER)
#define MWT_ALIGNED __declspec(align(64))
#else
#define MWT_ALIGNED __attribute__((aligned(64)))
#endif
#endif
";

/// Where the model comes from, in a line.
fn origin(bundle: &Bundle<'_>) -> String {
    let facts = bundle.header().facts;
    let line =
        format!("{}, {} outer steps, seed {}", facts.data_set, facts.outer_steps, facts.seed);
    shown(&line)
}

/// Rows of numbers, each with a comma behind it.
fn rows(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(5 * bytes.len());
    for line in bytes.chunks(LINE) {
        text.push_str("   ");
        for byte in line {
            // Writing to a string cannot fail.
            let _ = write!(text, " {byte},");
        }
        text.push('\n');
    }
    text
}

/// A string literal: what is not plain ASCII in octal, which unlike hexadecimal ends after three digits.
fn c_string(text: &str) -> String {
    let mut literal = String::from('"');
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' | b'?' => literal.extend(['\\', char::from(byte)]),
            b' '..=b'~' => literal.push(char::from(byte)),
            _ => {
                let _ = write!(literal, "\\{byte:03o}");
            }
        }
    }
    literal.push('"');
    literal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_of_c() {
        assert_eq!(c_string("a\"b\\c??/"), r#""a\"b\\c\?\?/""#);
        assert_eq!(c_string("ä7"), r#""\303\2447""#);
    }
}
