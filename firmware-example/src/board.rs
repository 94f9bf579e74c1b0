//! What differs between boards: how the program starts and what counts its instructions. Files, output and the
//! program's end go through semihosting, which a debug probe offers as well as QEMU.

#[cfg_attr(target_arch = "arm", path = "board/cortex_m.rs")]
#[cfg_attr(target_arch = "riscv32", path = "board/riscv.rs")]
mod cpu;

pub(crate) use cpu::entry;

use core::ffi::CStr;

use semihosting::experimental::env;
use semihosting::fs::File;
use semihosting::io::{ErrorKind, Read, Result};

/// Counts instructions, by QEMU's `-icount shift=0`. A real part's counter counts clock cycles instead.
pub(crate) struct Counter(cpu::Ticks);

impl Counter {
    pub(crate) fn start() -> Self {
        Self(cpu::ticks())
    }

    /// Instructions since the start or the last lap.
    pub(crate) fn lap(&mut self) -> u64 {
        let before = core::mem::replace(&mut self.0, cpu::ticks());
        cpu::instructions(before, self.0)
    }
}

/// The file that the program's first argument names, if any.
pub(crate) fn images() -> Result<Option<File>> {
    let args = env::args::<512>()?;
    let Some(Ok(path)) = (&args).nth(1) else { return Ok(None) };
    let mut zero_ended = [0; 512];
    if let Some(start) = zero_ended.get_mut(..path.len()) {
        start.copy_from_slice(path.as_bytes());
    }
    let path = CStr::from_bytes_until_nul(&zero_ended).map_err(|_| ErrorKind::InvalidInput)?;
    File::open(path).map(Some)
}

/// Reads the next image; false at the end of the file.
pub(crate) fn read(file: &mut File, image: &mut [u8]) -> Result<bool> {
    let mut filled = 0;
    while filled < image.len() {
        match file.read(&mut image[filled..])? {
            0 => return Ok(false),
            n => filled += n,
        }
    }
    Ok(true)
}
