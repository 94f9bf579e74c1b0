//! How much stack a program needs that parses a bundle and does with it whatever can be done: what the tests hold to
//! `mwt_infer::STACK_PORTABLE`, for each of several build profiles.

#![no_std]
#![no_main]

use firmware_example::model::{BUNDLE, WORKSPACE};
use firmware_example::report::Failure;
use firmware_example::{board, report};
use mwt_infer::{Bundle, Classifier, Error, ModelConfig, Numbers, Scattered, Signal, Workspace};
use semihosting::println;
use static_cell::ConstStaticCell;

const MODEL: ModelConfig = ModelConfig::MICRO;
const PIXELS: usize = MODEL.extents.positions();

static MEMORY: ConstStaticCell<Workspace<WORKSPACE>> = ConstStaticCell::new(Workspace::new());
static NUMBERS: ConstStaticCell<[f32; PIXELS]> = ConstStaticCell::new([0.25; PIXELS]);
static DRAWN: ConstStaticCell<[u8; PIXELS]> = ConstStaticCell::new([0; PIXELS]);

/// Everything, with what a caller keeps on the stack meanwhile: the bundle and the classifier.
fn everything(memory: &mut [f32], numbers: &[f32], drawn: &mut [u8]) -> Result<(), Error> {
    let bundle = Bundle::parse(BUNDLE)?;
    let mut classifier = Classifier::new(&bundle, memory)?;
    classifier.self_test()?;
    let signal = Signal::new(Numbers::F32(numbers), MODEL.extents, MODEL.channels)?;
    classifier.fit(&signal.with_bits(&[0x5b; PIXELS.div_ceil(8)])?)?;
    classifier.top_k::<3>()?;
    classifier.quality(&signal)?;
    classifier.reconstruct(MODEL.extents, drawn)?;
    let coordinates = numbers.get(..PIXELS / 2).unwrap_or_default();
    let anywhere = Scattered::new(
        coordinates,
        2,
        Numbers::F32(coordinates.get(..PIXELS / 4).unwrap_or_default()),
        1,
    )?;
    classifier.fit(&anywhere)?;
    classifier.logits()?;
    Ok(())
}

fn run() -> Result<(), Failure> {
    let (memory, numbers, drawn) = (MEMORY.take(), NUMBERS.take(), DRAWN.take());
    let (bytes, result) = board::stack_of(|| everything(memory.as_mut_slice(), numbers, drawn));
    result?;
    println!("stack {bytes} bytes");
    Ok(())
}

#[board::entry]
fn main() -> ! {
    report::end(run())
}
