//! What `classify_batch` takes for images in a file, for `throughput.py` to compare with.
//!
//! ```sh
//! throughput BUNDLE.mwt IMAGES.raw
//! ```
//! Prints seconds.

use std::error::Error;
use std::time::Instant;

use mwt_infer::{Arithmetic, Bundle, Signal, classify_batch};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [bundle, images] = &arguments[..] else {
        return Err("usage: throughput BUNDLE.mwt IMAGES.raw".into());
    };
    let (bundle, images) = (std::fs::read(bundle)?, std::fs::read(images)?);
    let bundle = Bundle::parse(&bundle)?;
    let config = *bundle.config();
    let len = config.extents.positions() * config.channels;
    let images: Result<Vec<_>, _> = images
        .chunks(len)
        .map(|image| Signal::new(image, config.extents, config.channels))
        .collect();
    let images = images?;
    let start = Instant::now();
    let failed = classify_batch(&bundle, Arithmetic::F32, &images).iter().any(Result::is_err);
    let seconds = start.elapsed().as_secs_f64();
    if failed {
        return Err("an image was not classified".into());
    }
    println!("{seconds}");
    Ok(())
}
