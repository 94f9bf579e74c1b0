//! Classifies many pictures on all cores and says how fast that was.
//!
//! ```sh
//! cargo run --release -p mwt-infer --example batch
//! ```

use std::error::Error;
use std::time::Instant;

use mwt_infer::{Arithmetic, Bundle, Signal, classify_batch};

const BUNDLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/mnist-small.mwt");

fn main() -> Result<(), Box<dyn Error>> {
    let bytes = std::fs::read(BUNDLE)?;
    let bundle = Bundle::parse(&bytes)?;
    let [height, width] = *bundle.config().extents.sides() else {
        return Err("the model is not for images".into());
    };

    // The bundle's own samples, again and again.
    let samples: Vec<_> = bundle.golden_samples().collect();
    let images: Vec<_> = samples
        .iter()
        .cycle()
        .take(1000)
        .map(|sample| Signal::grey(sample.signal, height, width))
        .collect::<Result<_, _>>()?;

    // The K logits of each picture, in the pictures' order. One that fails does not hold up the others.
    let start = Instant::now();
    let results = classify_batch(&bundle, Arithmetic::F32, &images);
    let seconds = start.elapsed().as_secs_f64();

    let mut count = vec![0; bundle.config().classes];
    for logits in results {
        let logits = logits?;
        let best = (0..logits.len()).max_by(|a, b| logits[*a].total_cmp(&logits[*b]));
        count[best.ok_or("a model has classes")?] += 1;
    }
    for (class, count) in count.iter().enumerate().filter(|(_, count)| **count > 0) {
        println!("{count} pictures of class {}", bundle.header().label(class));
    }
    println!("{:.0} pictures per second on all cores", images.len() as f64 / seconds);
    Ok(())
}
