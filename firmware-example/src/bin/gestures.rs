//! Names the gestures that a hand makes: readings of an accelerometer come in one after the other, with drops, and the
//! last 64 slots of 20 ms are classified a step at a time, while the next ones arrive.
//!
//! The first argument names the file that stands for the sensor: for each reading its time in milliseconds as u64 and
//! three i16 of 1/2048 g, in little-endian bytes.

#![no_std]
#![no_main]

use firmware_example::board;
use firmware_example::report::{self, Failure};
use firmware_example::window::{Reading, Window};
use mwt_infer::{Bundle, Classifier, ModelConfig, Workspace, workspace_len};
use semihosting::{print, println};
use static_cell::ConstStaticCell;

const MODEL: ModelConfig = ModelConfig::WRIST;
const LENGTH: usize = MODEL.extents.positions();
const AXES: usize = MODEL.channels;

/// Slots between the beginnings of two classifications.
const HOP: u64 = 16;

static BUNDLE: &[u8] = include_bytes!("../../../models/gestures.mwt");
static WORKSPACE: ConstStaticCell<Workspace<{ workspace_len(&MODEL) }>> =
    ConstStaticCell::new(Workspace::new());

/// A window that is being classified, and the newest slot that it has.
struct Job {
    window: Window<LENGTH, AXES>,
    slot: u64,
}

fn run() -> Result<(), Failure> {
    let bundle = Bundle::parse(BUNDLE)?;
    let mut classifier = Classifier::new(&bundle, WORKSPACE.take().as_mut_slice())?;
    report::self_test(&classifier.self_test()?);

    let Some(mut sensor) = board::file(1)? else { return Ok(()) };
    let mut window = Window::<LENGTH, AXES>::new(20, 1.0 / 2048.0);
    let (mut bytes, mut job, mut next) = ([0; 14], None, LENGTH as u64 - 1);
    while board::read(&mut sensor, &mut bytes)? {
        let slot = window.push(&reading(&bytes));
        // A window of its own, as the readings go on coming in.
        if job.is_none() && slot >= next {
            classifier.begin();
            (job, next) = (Some(Job { window: window.clone(), slot }), slot + HOP);
        }
        // One inner step for each reading; then the answer.
        let Some(Job { window, slot }) = &job else { continue };
        if classifier.step(window)?.is_none() {
            gesture(&mut classifier, *slot, window.readings())?;
            job = None;
        }
    }
    Ok(())
}

/// What the sensor gave.
fn reading(bytes: &[u8; 14]) -> Reading<AXES> {
    let [a, b, c, d, e, f, g, h, values @ ..] = *bytes;
    let [x0, x1, y0, y1, z0, z1] = values;
    let values = [[x0, x1], [y0, y1], [z0, z1]].map(i16::from_le_bytes);
    Reading { time: u64::from_le_bytes([a, b, c, d, e, f, g, h]), values }
}

fn gesture(classifier: &mut Classifier<'_, '_>, slot: u64, readings: usize) -> Result<(), Failure> {
    if let [best] = *classifier.top_k::<1>()? {
        let label = classifier.bundle().header().label(best.class);
        print!("slot {slot} readings {readings} of {LENGTH} class {} ({label}) ", best.class);
    }
    report::bits("logits", classifier.logits()?);
    Ok(())
}

#[board::entry]
fn main() -> ! {
    println!("gestures");
    report::end(run())
}
