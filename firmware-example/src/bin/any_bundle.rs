//! Runs any bundle that fits on any signals, both read from files, in f32 and in integers: what the tests compare with the host and with values
//! computed in float64.
//!
//! Arguments: the bundle, and signals as f32 in little-endian bytes, one after the other, NaN where a sample is missing.

#![no_std]
#![no_main]

use firmware_example::report::Failure;
use firmware_example::{board, report};
use mwt_infer::{Arithmetic, Bundle, Classifier, Numbers, Signal, Workspace};
use semihosting::io::ErrorKind;
use static_cell::ConstStaticCell;

static BUNDLE: ConstStaticCell<[u8; 256 * 1024]> = ConstStaticCell::new([0; 256 * 1024]);
static WORKSPACE: ConstStaticCell<Workspace<{ 256 * 1024 }>> =
    ConstStaticCell::new(Workspace::new());
static BYTES: ConstStaticCell<[u8; 16 * 1024]> = ConstStaticCell::new([0; 16 * 1024]);
static NUMBERS: ConstStaticCell<[f32; 4 * 1024]> = ConstStaticCell::new([0.0; 4 * 1024]);

fn run() -> Result<(), Failure> {
    let (bytes, numbers, buffer) = (BYTES.take(), NUMBERS.take(), BUNDLE.take());
    let mut file = board::file(1)?.ok_or(ErrorKind::NotFound)?;
    let len = board::read_up_to(&mut file, buffer)?;
    let bundle = Bundle::parse(buffer.get(..len).unwrap_or_default())?;
    let mut classifier = Classifier::new(&bundle, WORKSPACE.take().as_mut_slice())?;
    let config = *classifier.config();
    let count = config.extents.positions() * config.channels;
    let bytes = bytes.get_mut(..4 * count).ok_or(ErrorKind::InvalidInput)?;
    let numbers = numbers.get_mut(..count).ok_or(ErrorKind::InvalidInput)?;
    let mut file = board::file(2)?.ok_or(ErrorKind::NotFound)?;
    while board::read(&mut file, bytes)? {
        for (number, bytes) in numbers.iter_mut().zip(bytes.as_chunks().0) {
            *number = f32::from_le_bytes(*bytes);
        }
        let signal = Signal::new(Numbers::F32(numbers), config.extents, config.channels)?;
        for arithmetic in [Arithmetic::F32, Arithmetic::Int8] {
            classifier.set_arithmetic(arithmetic);
            classifier.fit(&signal)?;
            report::bits("phi", classifier.phi()?);
            report::bits("logits", classifier.logits()?);
        }
    }
    Ok(())
}

#[board::entry]
fn main() -> ! {
    report::end(run())
}
