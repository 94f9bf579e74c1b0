//! The caller's memory.
//!
//! φ outlives a fit, so that an image can be classified, fitted further and reconstructed in any order. All
//! else is scratch: what the fit needs and what the Transformer needs lie over each other. Regions of odd sizes
//! come last, so that the rows of the others start on cache lines when the workspace does.

#[cfg(feature = "alloc")]
use alloc::{vec, vec::Vec};

use mwt_core::ModelConfig;

use crate::error::Error;
use crate::kernels::PANEL;

/// f32 values of workspace that a model needs: whole cache lines, as [`Workspace`] takes them.
pub const fn workspace_len(config: &ModelConfig) -> usize {
    let plan = Plan::new(config);
    (plan.phi + plan.scratch() + plan.logits).next_multiple_of(LINE)
}

/// f32 values of a cache line.
const LINE: usize = 64 / size_of::<f32>();

/// Bytes of stack that suffice to parse a bundle, fit and classify with the portable kernels, whatever the model, in
/// every optimized build: from `opt-level = 1` to 3, `"s"` and `"z"`, with LTO or without, the caller's `Bundle` and
/// `Classifier` included. On a Cortex-M4F most of it is taken by cargo's release as it comes and by `opt-level = 1`
/// (4000 bytes); with the profile of the crate's documentation it is 3084.
pub const STACK_PORTABLE: usize = 4 * 1024;

/// The same in a build without any optimization, as `cargo build` makes. With the dependencies alone optimized
/// (`[profile.dev.package."*"]`) 8 KiB suffice.
pub const STACK_UNOPTIMIZED: usize = 20 * 1024;

/// As [`STACK_PORTABLE`] with the kernels of a host, which keep panels of a product on it.
pub const STACK_HOST: usize = 128 * 1024;

/// Workspace of `N` = [`workspace_len`] values, for a `static`: on the stack it would need as much of that.
///
/// ```
/// use mwt_infer::{ModelConfig, Workspace, workspace_len};
/// const N: usize = workspace_len(&ModelConfig::MICRO);
/// // In firmware a `ConstStaticCell` of the crate `static_cell` in place of the mutex.
/// static WORKSPACE: std::sync::Mutex<Workspace<N>> = std::sync::Mutex::new(Workspace::new());
/// assert_eq!(size_of::<Workspace<N>>(), 4 * N);
/// ```
// A cache line, so that rows of a multiple of 16 values start on one.
#[repr(C, align(64))]
#[derive(Clone, Debug)]
pub struct Workspace<const N: usize>([f32; N]);

impl<const N: usize> Workspace<N> {
    /// All zero, so that a `static` takes no flash.
    pub const fn new() -> Self {
        Self([0.0; N])
    }

    /// The values, for [`Classifier::new`](crate::Classifier::new).
    pub const fn as_mut_slice(&mut self) -> &mut [f32] {
        &mut self.0
    }
}

impl<const N: usize> Default for Workspace<N> {
    fn default() -> Self {
        Self::new()
    }
}

/// Workspace on the heap, for a model that is known at run time alone. It begins on a cache line, as [`Workspace`] does.
///
/// ```
/// use mwt_infer::{ModelConfig, WorkspaceBuf, workspace_len};
/// let mut workspace = WorkspaceBuf::new(&ModelConfig::MICRO);
/// assert_eq!(workspace.as_mut_slice().len(), workspace_len(&ModelConfig::MICRO));
/// ```
#[cfg(feature = "alloc")]
#[derive(Clone, Debug)]
pub struct WorkspaceBuf {
    /// A line more than is needed, because a `Vec` begins anywhere.
    memory: Vec<f32>,
}

#[cfg(feature = "alloc")]
impl WorkspaceBuf {
    /// [`workspace_len`] values for a model, all zero.
    pub fn new(config: &ModelConfig) -> Self {
        Self { memory: vec![0.0; workspace_len(config) + LINE] }
    }

    /// The values, for [`Classifier::new`](crate::Classifier::new).
    pub fn as_mut_slice(&mut self) -> &mut [f32] {
        let len = self.memory.len() - LINE;
        let start = self.memory.as_ptr().align_offset(64).min(LINE);
        self.memory.get_mut(start..start + len).unwrap_or_default()
    }
}

/// Sizes of the workspace's regions, in values.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) phi: usize,
    pub(crate) logits: usize,

    // The fit.
    pub(crate) gradient: usize,
    /// W_lᵀ of the hidden layers.
    pub(crate) transposed: usize,
    /// Wo ⊙ out_scale, `[C, D]`, then bo ⊙ out_scale, `[C]`.
    pub(crate) siren_head: usize,
    /// Pixels of a tile.
    pub(crate) pixels: usize,
    /// Values that each pixel of a tile takes: coordinate, target, h and cos of each sine layer, δ.
    pub(crate) pixel: usize,

    // The Transformer.
    /// Each of x, keys and values, `[T, D]`.
    pub(crate) stream: usize,
    /// Tokens of a tile.
    pub(crate) rows: usize,
    /// Keys that attention looks at in one go.
    pub(crate) keys: usize,
    /// Each token of a tile: queries, scores or MLP.
    pub(crate) query: usize,
    /// Each token of a tile: token or norm, the above, attention, running softmax.
    pub(crate) row: usize,
    /// Scratch of a quantized linear layer.
    pub(crate) panel: usize,
}

const fn max(a: usize, b: usize) -> usize {
    if a > b { a } else { b }
}

impl Plan {
    pub(crate) const fn new(c: &ModelConfig) -> Self {
        let (d, layers) = (c.dim, c.hidden_layers);
        // Narrow models are for small memories; wide ones want enough rows to use what they load.
        let (pixels, rows) = match d {
            ..=32 => (16, 16),
            33..=64 => (32, 32),
            _ => (64, 64),
        };
        let keys = match d {
            ..=32 => 32,
            33..=64 => 64,
            _ => 128,
        };
        let keys = if c.tokens() < keys { c.tokens() } else { keys };
        let query = max(max(d, c.mlp_width()), keys);
        Self {
            phi: c.theta_len(),
            logits: c.classes,
            gradient: c.theta_len(),
            transposed: layers * d * d,
            siren_head: c.channels * (d + 1),
            pixels,
            pixel: c.axes() + 2 * c.channels + (2 * (layers + 1) + 1) * d,
            stream: c.tokens() * d,
            rows,
            keys,
            query,
            row: c.token_len() + query + d + 3,
            panel: max(c.token_len(), c.mlp_width()) * PANEL,
        }
    }

    pub(crate) const fn scratch(&self) -> usize {
        max(self.fit(), self.transformer())
    }

    const fn fit(&self) -> usize {
        self.gradient + self.transposed + self.siren_head + self.pixels * self.pixel
    }

    const fn transformer(&self) -> usize {
        3 * self.stream + self.rows * self.row + self.panel
    }
}

/// Cuts a slice into regions.
pub(crate) struct Carve<'w>(pub(crate) &'w mut [f32]);

impl<'w> Carve<'w> {
    pub(crate) fn take(&mut self, len: usize) -> Result<&'w mut [f32], Error> {
        let all = core::mem::take(&mut self.0);
        let given = all.len();
        let (taken, rest) = all.split_at_mut_checked(len).ok_or(Error::workspace(len, given))?;
        self.0 = rest;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_keep_their_budgets() {
        let kib = |c| (workspace_len(&c) * 4) as f64 / 1024.0;
        assert!(kib(ModelConfig::MICRO) <= 40.0, "micro {}", kib(ModelConfig::MICRO));
        assert!(kib(ModelConfig::WRIST) <= 40.0, "wrist {}", kib(ModelConfig::WRIST));
        assert!(kib(ModelConfig::SMALL) <= 192.0, "small {}", kib(ModelConfig::SMALL));
        assert!(kib(ModelConfig::BASE) <= 1.2e6 / 1024.0, "base {}", kib(ModelConfig::BASE));
    }
}
