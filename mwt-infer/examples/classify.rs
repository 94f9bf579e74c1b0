//! Classifies one picture: a PNG file, or else the first sample that the bundle carries.
//!
//! ```sh
//! cargo run -p mwt-infer --example classify -- [PICTURE.png]
//! ```

use std::error::Error;

use image::imageops::{FilterType, overlay};
use image::{DynamicImage, ImageDecoder, ImageReader, Rgba, RgbaImage};
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
        Some(path) => upright_and_opaque(&path)?
            .resize_to_fill(width as u32, height as u32, FilterType::Triangle)
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

/// A picture as a person sees it: the way up that its Exif data say, and on white where it is transparent.
fn upright_and_opaque(path: &str) -> Result<DynamicImage, Box<dyn Error>> {
    let mut decoder = ImageReader::open(path)?.with_guessed_format()?.into_decoder()?;
    let orientation = decoder.orientation()?;
    let mut picture = DynamicImage::from_decoder(decoder)?;
    picture.apply_orientation(orientation);
    let mut paper = RgbaImage::from_pixel(picture.width(), picture.height(), Rgba([255; 4]));
    overlay(&mut paper, &picture.into_rgba8(), 0, 0);
    Ok(paper.into())
}
