//! Which instruction set the kernels use.

#[cfg(all(target_arch = "aarch64", target_feature = "neon", target_endian = "little"))]
use super::Neon;
use super::Portable;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
use super::Simd128;
#[cfg(target_arch = "x86_64")]
use super::{Avx2, Avx512};

/// An instruction set that this CPU has. Where there is only the portable one, as on microcontrollers, nothing of
/// the choice is left after compilation.
#[derive(Clone, Copy, Debug)]
pub enum Isa {
    /// Safe Rust: the same bits on every target.
    Portable(Portable),
    /// AVX2 with FMA, and AVX-VNNI where it is there.
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    /// AVX-512 with VNNI.
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
    /// NEON, with SDOT where the CPU has it.
    #[cfg(all(target_arch = "aarch64", target_feature = "neon", target_endian = "little"))]
    Neon(Neon),
    /// WebAssembly's SIMD128.
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    Simd128(Simd128),
}

impl Isa {
    /// The fastest one.
    pub fn detect() -> Self {
        Self::all_available().last().unwrap_or(Self::PORTABLE)
    }

    /// The one that every target has.
    pub const PORTABLE: Self = Self::Portable(Portable);

    /// Every one, the slowest first.
    pub fn all_available() -> impl Iterator<Item = Self> {
        [
            Some(Self::PORTABLE),
            #[cfg(target_arch = "x86_64")]
            Avx2::detect().map(Self::Avx2),
            #[cfg(target_arch = "x86_64")]
            Avx2::detect_vnni().map(Self::Avx2),
            #[cfg(target_arch = "x86_64")]
            Avx512::detect().map(Self::Avx512),
            #[cfg(all(
                target_arch = "aarch64",
                target_feature = "neon",
                target_endian = "little"
            ))]
            Some(Self::Neon(Neon::default())),
            #[cfg(all(
                target_arch = "aarch64",
                target_feature = "neon",
                target_endian = "little"
            ))]
            Neon::detect_dotprod().map(Self::Neon),
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
            Some(Self::Simd128(Simd128)),
        ]
        .into_iter()
        .flatten()
    }

    /// Its name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Portable(_) => "portable",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(kernel) => kernel.name(),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(_) => "avx512",
            #[cfg(all(target_arch = "aarch64", target_feature = "neon", target_endian = "little"))]
            Self::Neon(neon) => neon.name(),
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
            Self::Simd128(_) => "simd128",
        }
    }
}

impl Default for Isa {
    fn default() -> Self {
        Self::detect()
    }
}

/// Evaluates an expression with the kernel of an [`Isa`](crate::Isa), compiled once for each.
#[cfg_attr(feature = "kernels", macro_export)]
#[doc(hidden)]
macro_rules! with_kernel {
    ($isa:expr, $kernel:ident => $run:expr) => {
        match $isa {
            $crate::kernels::Isa::Portable($kernel) => $run,
            #[cfg(target_arch = "x86_64")]
            $crate::kernels::Isa::Avx2($kernel) => $run,
            #[cfg(target_arch = "x86_64")]
            $crate::kernels::Isa::Avx512($kernel) => $run,
            #[cfg(all(target_arch = "aarch64", target_feature = "neon", target_endian = "little"))]
            $crate::kernels::Isa::Neon($kernel) => $run,
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
            $crate::kernels::Isa::Simd128($kernel) => $run,
        }
    };
}
pub(crate) use with_kernel;
