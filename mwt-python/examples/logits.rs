//! The logits of mwt-infer for signals in a file, for the tests to compare with.
//!
//! ```sh
//! logits BUNDLE.mwt u8|i16|f32 SIGNALS > LOGITS
//! ```
//! Signals and logits are numbers one after the other, little-endian.

use std::error::Error;
use std::io::Write;

use mwt_infer::{Bundle, Classifier, Numbers, Signal, WorkspaceBuf};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [bundle, sample, signals] = &arguments[..] else {
        return Err("usage: logits BUNDLE.mwt u8|i16|f32 SIGNALS > LOGITS".into());
    };
    let (bundle, signals) = (std::fs::read(bundle)?, std::fs::read(signals)?);
    let bundle = Bundle::parse(&bundle)?;
    let config = *bundle.config();
    let mut workspace = WorkspaceBuf::new(&config);
    let mut classifier = Classifier::new(&bundle, workspace.as_mut_slice())?;
    let len = config.extents.positions() * config.channels;
    let mut fit = |numbers: Numbers<'_>| -> Result<(), Box<dyn Error>> {
        classifier.fit(&Signal::new(numbers, config.extents, config.channels)?)?;
        for logit in classifier.logits()? {
            std::io::stdout().write_all(&logit.to_le_bytes())?;
        }
        Ok(())
    };
    match sample.as_str() {
        "u8" => signals.chunks(len).try_for_each(|signal| fit(signal.into())),
        "i16" => {
            let numbers: Vec<i16> =
                signals.as_chunks().0.iter().map(|b| i16::from_le_bytes(*b)).collect();
            numbers.chunks(len).try_for_each(|signal| fit(signal.into()))
        }
        _ => {
            let numbers: Vec<f32> =
                signals.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
            numbers.chunks(len).try_for_each(|signal| fit(signal.into()))
        }
    }?;
    Ok(())
}
