//! Trains a small model on the built-in digits, stops, goes on as after a power cut, and exports a bundle.

use std::path::Path;

use burn::backend::{Autodiff, Flex};
use mwt_core::Schemes;
use mwt_train::export::with_golden;
use mwt_train::run::{Run, StopWhen};
use mwt_train::settings::Layers;
use mwt_train::util::durable::write;
use mwt_train::weights::trained::TrainedModel;

pub(crate) fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (path, device) = (Path::new("runs/example"), Default::default());
    let mut layers = Layers::default();
    layers.preset("nano")?;
    for setting in ["data.source=digits", "data.limit=2000", "train.epochs=2"] {
        layers.assign(setting)?;
    }
    let mut early = StopWhen(|position| position.total == 25);
    Run::create(path, &layers)?.train::<Autodiff<Flex>>(&device, &mut early)?;
    Run::resume(path)?.train::<Autodiff<Flex>>(&device, &mut ())?;
    let bundle = with_golden::<Flex>(&TrainedModel::load(path)?, Schemes::default(), &device)?;
    write(&path.join("model.mwt"), &bundle)?;
    println!("runs/example/model.mwt: {} bytes", bundle.len());
    Ok(())
}
