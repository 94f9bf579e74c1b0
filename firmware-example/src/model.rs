//! The bundle that `MWT_BUNDLE` names, `model.mwt` unless it does, and the sizes that follow from it: written by `build.rs`.

include!(concat!(env!("OUT_DIR"), "/model.rs"));
