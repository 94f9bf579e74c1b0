//! Fits and classifies images on a microcontroller: the bundle in flash, the workspace a `static`, no heap.
//!
//! First the bundle tests itself, then its own samples are classified, then the images of a file: raw bytes, one
//! image after the other, read over semihosting when the program is given a path.

#![no_std]
#![no_main]

use firmware_example::model::{BUNDLE, SIGNAL, WORKSPACE};
use firmware_example::report::Failure;
use firmware_example::{board, report};
use mwt_infer::{Arithmetic, Bundle, Classifier, Numbers, Signal, Workspace};
use static_cell::ConstStaticCell;

static MEMORY: ConstStaticCell<Workspace<WORKSPACE>> = ConstStaticCell::new(Workspace::new());
static IMAGE: ConstStaticCell<[u8; SIGNAL]> = ConstStaticCell::new([0; SIGNAL]);

fn run() -> Result<(), Failure> {
    let bundle = Bundle::parse(BUNDLE)?;
    let mut classifier = Classifier::new(&bundle, MEMORY.take().as_mut_slice())?;
    classifier.set_arithmetic(Arithmetic::Int8);
    report::model(&bundle, size_of::<Workspace<WORKSPACE>>());

    report::self_test(&classifier.self_test()?);

    for (n, sample) in bundle.golden_samples().enumerate() {
        classify(&mut classifier, "golden", n, sample.signal)?;
    }
    if let Some(mut file) = board::file(1)? {
        let (image, mut n) = (IMAGE.take(), 0);
        while board::read(&mut file, image)? {
            classify(&mut classifier, "image", n, image)?;
            n += 1;
        }
    }
    Ok(())
}

fn classify(c: &mut Classifier, kind: &str, n: usize, bytes: &[u8]) -> Result<(), Failure> {
    let (config, sample) = (*c.config(), c.bundle().header().input.sample);
    let numbers = Numbers::Encoded(sample, bytes);
    let image = Signal::new(numbers, config.extents, config.channels)?;
    let mut counter = board::Counter::start();
    c.fit(&image)?;
    let fit = counter.lap();
    c.logits()?;
    let transformer = counter.lap();
    let quality = c.quality(&image)?;
    let phases = [("fit", fit), ("transformer", transformer), ("psnr", counter.lap())];
    report::image(c, kind, n, quality.psnr, counter.unit(), &phases)?;
    Ok(())
}

#[board::entry]
fn main() -> ! {
    report::end(run())
}
