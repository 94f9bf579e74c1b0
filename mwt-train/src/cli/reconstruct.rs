//! `mwt-train reconstruct`.

use std::path::PathBuf;

use clap::Args;
use mwt_core::Extents;
use mwt_infer::{Classifier, Signal, WorkspaceBuf};

use super::common::{self, CliResult};
use super::view::{self, Seen, Source, ViewArgs};
use crate::report::picture;
use crate::util::text::shown;

#[derive(Debug, Args)]
pub(super) struct Reconstruct {
    /// An .mwt bundle
    bundle: PathBuf,
    /// A picture (PNG, JPEG, BMP, GIF, WebP, TIFF, PNM), or - for one on standard input
    image: PathBuf,
    /// The picture to write, of the kind that its ending names
    #[arg(long, short, value_name = "OUT.png")]
    output: PathBuf,
    #[command(flatten)]
    view: ViewArgs,
    /// Draw the fit at this many times the image's resolution
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    scale: u32,
}

impl Reconstruct {
    pub(super) fn run(&self) -> CliResult {
        picture::format(&self.output)?;
        view::require_other(&self.output, &[&self.bundle, &self.image])?;
        let bytes = common::read(&self.bundle)?;
        let bundle = common::parse(&self.bundle, &bytes)?;
        let config = *bundle.config();
        let named = |e: mwt_infer::Error| format!("{}: {e}", self.image.display());
        view::require_pictures(&bundle)?;
        let Seen { pixels, warnings } = self.view.see(&bundle, &Source::of(&self.image))?;
        for warning in warnings {
            eprintln!("warning: {}: {}", shown(&self.image.display().to_string()), shown(&warning));
        }
        let (height, width) = common::image_size(&config)?;
        let source = Signal::new(&pixels[..], config.extents, config.channels).map_err(named)?;
        let mut workspace = WorkspaceBuf::new(&config);
        let mut classifier = Classifier::new(&bundle, workspace.as_mut_slice()).map_err(named)?;
        classifier.fit(&source).map_err(named)?;
        let scale = self.scale as usize;
        let (h, w) = (height * scale, width * scale);
        let large = Extents::image(h, w);
        let mut out = vec![0u8; large.positions() * config.channels];
        classifier.reconstruct(large, &mut out).map_err(named)?;
        picture::save(&picture::to_rgb(&out, large, config.channels), &self.output)?;
        let psnr = classifier.quality(&source).map_err(named)?.psnr;
        println!("{}: {h}×{w}, PSNR {psnr:.2} dB at the image's pixels", self.output.display());
        Ok(())
    }
}
