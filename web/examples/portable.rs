//! The bits of the logits that the portable kernels give here, for the page's tests to compare with: of a bundle's
//! first golden sample, whole and without every third reading. As a JSON list.

use std::error::Error;

use mwt_infer::mwt_core::bundle::SampleType;
use mwt_infer::{Bundle, Classifier, Isa, Numbers, Signal, WorkspaceBuf};

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("usage: portable BUNDLE.mwt")?;
    let bytes = std::fs::read(path)?;
    let bundle = Bundle::parse(&bytes)?;
    let config = *bundle.config();
    let mut workspace = WorkspaceBuf::new(&config);
    let portable = Isa::all_available().find(|isa| isa.name() == "portable");
    let mut classifier = Classifier::new(&bundle, workspace.as_mut_slice())?
        .with_isa(portable.ok_or("it is available everywhere")?);
    let golden = bundle.golden_samples().next().ok_or("the bundle has no sample")?;
    let sample: SampleType = bundle.header().input.sample;
    let encoded = Numbers::Encoded(sample, golden.signal);
    let whole: Vec<f32> = (0..encoded.len()).map(|i| encoded.get(i)).collect();
    let left = |i: usize| if (i / config.channels).is_multiple_of(3) { f32::NAN } else { whole[i] };
    let holes: Vec<f32> = (0..whole.len()).map(left).collect();
    let mut bits = Vec::new();
    for numbers in [&whole, &holes] {
        classifier.fit(&Signal::new(&numbers[..], config.extents, config.channels)?)?;
        bits.extend(classifier.logits()?.iter().map(|logit| logit.to_bits().to_string()));
    }
    println!("[{}]", bits.join(","));
    Ok(())
}
