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
    /// Storage of all matrices [default: int8]
    #[arg(long, value_enum)]
    quant: Option<Quant>,
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
    /// The first of these flags that was given.
    pub(super) fn given(&self) -> Option<&'static str> {
        let flags = [
            ("--quant", self.quant),
            ("--quant-theta", self.quant_theta),
            ("--quant-alpha", self.quant_alpha),
            ("--quant-beta", self.quant_beta),
            ("--quant-transformer", self.quant_transformer),
        ];
        flags.into_iter().find(|(_, value)| value.is_some()).map(|(flag, _)| flag)
    }

    pub(super) fn schemes(self) -> Schemes {
        let all = self.quant.unwrap_or(Quant::Int8);
        let or_all = |part: Option<Quant>| part.unwrap_or(all).into();
        Schemes {
            theta: or_all(self.quant_theta),
            alpha: or_all(self.quant_alpha),
            beta: or_all(self.quant_beta),
            transformer: or_all(self.quant_transformer),
        }
    }
}
