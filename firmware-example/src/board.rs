//! What differs between boards: how the program starts and what counts its instructions. Files, output and the
//! program's end go through semihosting, which a debug probe offers as well as QEMU.

#[cfg_attr(target_arch = "arm", path = "board/cortex_m.rs")]
#[cfg_attr(target_arch = "riscv32", path = "board/riscv.rs")]
mod cpu;
mod paint;

pub use cpu::entry;
pub use paint::stack_of;

use core::ffi::CStr;

use semihosting::experimental::env;
use semihosting::fs::File;
use semihosting::io::{ErrorKind, Read, Result};

/// Counts clock cycles, or under QEMU, which has none, instructions.
pub struct Counter(cpu::Ticks);

impl Counter {
    /// Starts to count.
    pub fn start() -> Self {
        Self(cpu::ticks())
    }

    /// How many since the start or the last lap.
    pub fn lap(&mut self) -> u64 {
        let before = core::mem::replace(&mut self.0, cpu::ticks());
        cpu::count(before, self.0)
    }

    /// What they are.
    pub fn unit(&self) -> &'static str {
        cpu::unit()
    }
}

/// The file that an argument of the program names, if there is one; the first argument is 1.
pub fn file(argument: usize) -> Result<Option<File>> {
    let args = env::args::<512>()?;
    let Some(Ok(path)) = (&args).nth(argument) else { return Ok(None) };
    let mut zero_ended = [0; 512];
    if let Some(start) = zero_ended.get_mut(..path.len()) {
        start.copy_from_slice(path.as_bytes());
    }
    let path = CStr::from_bytes_until_nul(&zero_ended).map_err(|_| ErrorKind::InvalidInput)?;
    File::open(path).map(Some)
}

/// Fills a buffer with what comes next; false where the file ends before.
pub fn read(file: &mut File, buffer: &mut [u8]) -> Result<bool> {
    Ok(read_up_to(file, buffer)? == buffer.len())
}

/// Reads until a buffer is full or the file ends, and gives the count of bytes.
pub fn read_up_to(file: &mut File, buffer: &mut [u8]) -> Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read(rest)? {
            0 => break,
            n => filled += n,
        }
    }
    Ok(filled)
}
