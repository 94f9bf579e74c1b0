//! The library without the program.
#![cfg(feature = "cpu")]

use mwt_core::Bundle;
use mwt_infer::{Classifier, workspace_len};
use mwt_train::run::RunDir;
use mwt_train::weights::trained::TrainedModel;

#[path = "../examples/train.rs"]
mod example;

#[test]
fn the_example_trains_resumes_and_exports() {
    let dir = tempfile::tempdir().unwrap();
    std::env::set_current_dir(dir.path()).unwrap();
    example::main().unwrap();
    let run = dir.path().join("runs/example");
    // 1 600 images in batches of 32, twice.
    assert_eq!(TrainedModel::load(&run).unwrap().summary.outer_steps, 100);
    assert_eq!(RunDir::metrics(&run).unwrap().last().unwrap().step, 100);
    let bytes = std::fs::read(run.join("model.mwt")).unwrap();
    let bundle = Bundle::parse(&bytes).unwrap();
    let mut workspace = vec![0.0; workspace_len(bundle.config())];
    let tested = Classifier::new(&bundle, &mut workspace).unwrap().self_test().unwrap();
    assert_eq!(tested.samples, 2);
    // A second run is not trained over the first.
    assert!(example::main().unwrap_err().to_string().contains("holds a run already"));
}
