//! The flags that choose how a bundle is stored.

use clap::{Args, ValueEnum};
use mwt_core::{Scheme, Schemes};

/// Storage of the matrices of a bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Quant {
    /// Symmetric int8 with one scale per output
    Int8,
    /// 16-bit floats
    F16,
    /// 32-bit floats
    F32,
}

impl From<Quant> for Scheme {
    fn from(quant: Quant) -> Self {
        match quant {
            Quant::Int8 => Self::Int8,
            Quant::F16 => Self::F16,
            Quant::F32 => Self::F32,
        }
    }
}

/// How each part of a bundle is stored.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct QuantArgs {
    /// Storage of all matrices
    #[arg(long, value_enum, default_value = "int8")]
    quant: Quant,
    /// Storage of θ, the start of the fit [default: that of --quant]
    #[arg(long, value_enum)]
    quant_theta: Option<Quant>,
    /// Storage of α, the inner learning rates [default: that of --quant]
    #[arg(long, value_enum)]
    quant_alpha: Option<Quant>,
    /// Storage of β, the base of the tokens [default: that of --quant]
    #[arg(long, value_enum)]
    quant_beta: Option<Quant>,
    /// Storage of the Transformer [default: that of --quant]
    #[arg(long, value_enum)]
    quant_transformer: Option<Quant>,
}

impl QuantArgs {
    pub(super) fn schemes(self) -> Schemes {
        let or_all = |part: Option<Quant>| part.unwrap_or(self.quant).into();
        Schemes {
            theta: or_all(self.quant_theta),
            alpha: or_all(self.quant_alpha),
            beta: or_all(self.quant_beta),
            transformer: or_all(self.quant_transformer),
        }
    }
}
