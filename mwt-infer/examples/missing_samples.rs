//! Classifies a picture of which ever more pixels are missing.
//!
//! The sine network is fitted to whatever samples there are, so nothing has to be filled in. The answer gets worse
//! all the same: the shipped models were trained on whole pictures, and their accuracy falls as pixels go missing. A
//! wrong answer may even be given with a high probability.
//!
//! ```sh
//! cargo run -p mwt-infer --example missing_samples
//! ```

use std::error::Error;

use mwt_core::{draw, grid};
use mwt_infer::{Bundle, Classifier, Sample, Scattered, WorkspaceBuf};

const BUNDLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/mnist-small.mwt");

fn main() -> Result<(), Box<dyn Error>> {
    let bytes = std::fs::read(BUNDLE)?;
    let bundle = Bundle::parse(&bytes)?;
    let (size, scaling) = (bundle.config().image, bundle.header().input);
    let mut workspace = WorkspaceBuf::new(bundle.config());
    let mut classifier = Classifier::new(&bundle, workspace.as_mut_slice())?;

    for (n, golden) in bundle.golden_samples().enumerate() {
        println!("sample {n}");
        for missing in [0, 25, 50, 75] {
            // A sample is a coordinate in [-1, 1] × [-1, 1] and the value there. A hash of the pixel's index decides
            // which are missing.
            let samples: Vec<Sample<1>> = (0..size.pixels())
                .filter(|i| draw::mix(*i as u32) % 100 >= missing)
                .map(|i| {
                    let [y, x] = grid::pixel(i, size.height, size.width);
                    Sample { y, x, values: [scaling.value(golden.image[i])] }
                })
                .collect();
            classifier.fit(&Scattered(&samples))?;
            let best = classifier.top_k::<1>()?[0];
            println!(
                "  {missing:2} % missing, {:3} samples left: {} with {:.1} %",
                samples.len(),
                bundle.header().label(best.class),
                100.0 * best.probability,
            );
        }
    }
    Ok(())
}
