//! A bundle as source text: what firmware compiles in instead of reading a file.

use std::fmt::Write as _;

use mwt_core::Bundle;
use mwt_infer::workspace_len;

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

/// A C header with definitions, for one source file to include: `mwt_bundle`, aligned to a cache line, its sizes and
/// labels. C11 or C++11.
pub fn c(bytes: &[u8], bundle: &Bundle<'_>) -> String {
    let config = bundle.config();
    let labels: Vec<String> = bundle.header().labels().map(c_string).collect();
    format!(
        "/* {HEAD}\n\
         \x20* {}\n\
         \x20* Definitions: include it from one source file. */\n\
         #pragma once\n\n\
         #ifdef __cplusplus\n\
         #define MWT_ALIGNED alignas(64)\n\
         #else\n\
         #define MWT_ALIGNED _Alignas(64)\n\
         #endif\n\n\
         /* f32 values of workspace, and their bytes, as mwt_workspace_bytes() gives them. */\n\
         #define MWT_WORKSPACE_LEN {}\n\
         #define MWT_WORKSPACE_BYTES (MWT_WORKSPACE_LEN * 4)\n\
         /* Samples of a signal, the sides of their grid (height and width of an image), numbers of a sample; classes. */\n\
         #define MWT_POSITIONS {}\n\
         #define MWT_AXES {}\n\
         #define MWT_EXTENTS {{{}}}\n\
         #define MWT_CHANNELS {}\n\
         #define MWT_CLASSES {}\n\n\
         static const char *const mwt_labels[MWT_CLASSES] = {{{}}};\n\n\
         MWT_ALIGNED static const unsigned char mwt_bundle[{}] = {{\n{}}};\n",
        // Nothing of the data set's name may end the comment.
        origin(bundle).replace("*/", "* /"),
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

/// Where the model comes from, in a line.
fn origin(bundle: &Bundle<'_>) -> String {
    let facts = bundle.header().facts;
    let line =
        format!("{}, {} outer steps, seed {}", facts.data_set, facts.outer_steps, facts.seed);
    line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
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
