//! Classifies a picture of which ever more pixels are missing.
//!
//! The sine network is fitted to whatever samples there are, so nothing has to be filled in. How well the answer holds
//! depends on the training: a model that was trained with missing samples (`data.missing`) loses little, one that
//! was not loses much, and may be wrong with a high probability.
//!
//! ```sh
//! cargo run -p mwt-infer --example missing_samples
//! ```

use std::error::Error;

use mwt_core::draw;
use mwt_infer::{Bundle, Classifier, Signal, WorkspaceBuf};

const BUNDLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/mnist-small.mwt");

fn main() -> Result<(), Box<dyn Error>> {
    let bytes = std::fs::read(BUNDLE)?;
    let bundle = Bundle::parse(&bytes)?;
    let pixels = bundle.config().extents.positions() as u32;
    let mut workspace = WorkspaceBuf::new(bundle.config());
    let mut classifier = Classifier::new(&bundle, workspace.as_mut_slice())?;

    for (n, golden) in bundle.golden_samples().enumerate() {
        println!("sample {n}");
        for missing in [0, 25, 50, 75] {
            // A hash of the pixel's index decides which are missing.
            let there: Vec<u32> = (0..pixels).filter(|i| draw::mix(*i) % 100 >= missing).collect();
            classifier.fit(&Signal::golden(&bundle, &golden)?.with_positions(&there)?)?;
            let best = classifier.top_k::<1>()?[0];
            println!(
                "  {missing:2} % missing, {:3} samples left: {} with {:.1} %",
                there.len(),
                bundle.header().label(best.class),
                100.0 * best.probability,
            );
        }
    }
    Ok(())
}
