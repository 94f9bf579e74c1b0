//! Classifies one picture: a PNG file, or else the first sample that the bundle carries.
//!
//! ```sh
//! cargo run -p mwt-infer --example classify -- [PICTURE.png]
//! ```

use std::error::Error;

use image::imageops::FilterType;
use mwt_infer::{Bundle, Classifier, Signal, WorkspaceBuf};

const BUNDLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/mnist-small.mwt");

fn main() -> Result<(), Box<dyn Error>> {
    // The bundle holds the trained model. Parsing borrows the bytes and checks all of them.
    let bytes = std::fs::read(BUNDLE)?;
    let bundle = Bundle::parse(&bytes)?;
    let [height, width] = *bundle.config().extents.sides() else {
        return Err("the model is not for images".into());
    };

    // The model was trained on white digits on black, in grey; a picture is brought to its size.
    let pixels = match std::env::args().nth(1) {
        Some(path) => image::open(path)?
            .resize_exact(width as u32, height as u32, FilterType::Triangle)
            .into_luma8()
            .into_raw(),
        None => bundle.golden_samples().next().ok_or("the bundle has no sample")?.signal.to_vec(),
    };
    for row in pixels.chunks(width) {
        let shade = |p: &u8| [' ', '.', ':', 'o', '@'][usize::from(*p) * 5 / 256];
        println!("{}", row.iter().map(shade).collect::<String>());
    }

    // All memory that fitting and classifying take is this workspace.
    let mut workspace = WorkspaceBuf::new(bundle.config());
    let mut classifier = Classifier::new(&bundle, workspace.as_mut_slice())?;
    let image = Signal::grey(&pixels, height, width)?;

    // First the sine network is fitted to the picture, then its weights are read by the Transformer.
    classifier.fit(&image)?;
    for best in &classifier.top_k::<3>()? {
        let label = bundle.header().label(best.class);
        println!("{label}: {:.2} %", 100.0 * best.probability);
    }
    println!("the fit reproduces the picture with {:.1} dB", classifier.quality(&image)?.psnr);
    Ok(())
}
