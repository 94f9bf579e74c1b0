//! Prints a hash of what each kernel gives, for the tests to compare with a host's.

#![no_std]
#![no_main]

use firmware_example::kernels::{self, Memory};
use firmware_example::{board, report};
use mwt_infer::kernels::Portable;
use semihosting::println;
use static_cell::ConstStaticCell;

static MEMORY: ConstStaticCell<Memory> = ConstStaticCell::new(Memory::new());

#[board::entry]
fn main() -> ! {
    kernels::run(Portable, MEMORY.take(), &mut |name, hash| println!("{name} {hash:016x}"));
    report::end(Ok(()))
}
