//! Classifies after each inner step: an answer is there early and gets better with every step.
//!
//! A device that runs out of time stops between two steps. The models are trained to be read after all k of them, so
//! earlier answers are worth less.
//!
//! ```sh
//! cargo run -p mwt-infer --example step_by_step
//! ```

use std::error::Error;

use mwt_infer::{Bundle, Classifier, Signal, WorkspaceBuf};

const BUNDLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/mnist-small.mwt");

fn main() -> Result<(), Box<dyn Error>> {
    let bytes = std::fs::read(BUNDLE)?;
    let bundle = Bundle::parse(&bytes)?;
    let [height, width] = *bundle.config().extents.sides() else {
        return Err("the model is not for images".into());
    };
    let mut workspace = WorkspaceBuf::new(bundle.config());
    let mut classifier = Classifier::new(&bundle, workspace.as_mut_slice())?;

    for (n, golden) in bundle.golden_samples().enumerate() {
        println!("sample {n}");
        let image = Signal::grey(golden.signal, height, width)?;
        // φ = θ: every picture starts from the same learned weights, which know nothing of it yet.
        classifier.begin();
        loop {
            let best = classifier.top_k::<1>()?[0];
            println!(
                "  after {} of {} steps: {} with {:5.1} %, fit {:4.1} dB",
                classifier.steps(),
                bundle.config().inner_steps,
                bundle.header().label(best.class),
                100.0 * best.probability,
                classifier.quality(&image)?.psnr,
            );
            // None when all k steps are taken.
            if classifier.step(&image)?.is_none() {
                break;
            }
        }
    }
    Ok(())
}
