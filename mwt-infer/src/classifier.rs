//! The crate's front door.

use mwt_core::grid::{self, psnr};
use mwt_core::{Bundle, ImageSize, ModelConfig, draw};

use crate::arithmetic::Arithmetic;
use crate::error::Error;
use crate::fit::{self, FitScratch, Picked};
use crate::kernels::{Isa, with_kernel};
use crate::profile::{Phase, Profiler};
use crate::source::{Image, PixelSource};
use crate::top_k::TopK;
use crate::transformer::{self, Transformer};
use crate::workspace::{Carve, Plan, workspace_len};

/// Fits one image after the other and classifies each, in the caller's memory.
///
/// After [`fit`](Self::fit), or after any number of [`step`](Self::step)s, the calls that read the fit may
/// come in any order and any number of times.
#[derive(Debug)]
pub struct Classifier<'b, 'w, P = ()> {
    bundle: Bundle<'b>,
    isa: Isa,
    arithmetic: Arithmetic,
    profiler: P,
    phi: &'w mut [f32],
    logits: &'w mut [f32],
    scratch: &'w mut [f32],
    /// Inner steps taken; `None` before the first fit and after a failed one.
    steps: Option<usize>,
    /// Whether `logits` belong to φ as it is.
    classified: bool,
}

/// How well the fitted SIREN reproduces a source.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quality {
    /// Mean squared error of the values, which lie in [-1, 1].
    pub mse: f32,
    /// Peak signal-to-noise ratio in dB, after clamping.
    pub psnr: f32,
}

/// What the golden samples of a bundle gave.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SelfTest {
    /// Samples tried.
    pub samples: usize,
    /// Largest distance of a logit from the trainer's.
    pub max_error: f32,
}

impl<'b, 'w> Classifier<'b, 'w> {
    /// Logits further than this from the trainer's fail the self-test.
    pub const SELF_TEST_TOLERANCE: f32 = 1e-3;

    /// A classifier for a parsed bundle in `workspace`, of which it takes the first
    /// [`workspace_len`] values.
    ///
    /// # Errors
    /// [`Error::Workspace`] when there are fewer.
    pub fn new(bundle: &Bundle<'b>, workspace: &'w mut [f32]) -> Result<Self, Error> {
        let (needed, given) = (workspace_len(bundle.config()), workspace.len());
        let plan = Plan::new(bundle.config());
        let mut workspace = Carve(workspace);
        let error = Err(Error::Workspace { needed, given });
        if given < needed {
            return error;
        }
        Ok(Self {
            bundle: *bundle,
            isa: Isa::detect(),
            arithmetic: Arithmetic::F32,
            profiler: (),
            phi: workspace.take(plan.phi)?,
            scratch: workspace.take(plan.scratch())?,
            logits: workspace.take(plan.logits)?,
            steps: None,
            classified: false,
        })
    }

    /// The same classifier, which tells a profiler when each phase begins and ends.
    pub fn with_profiler<P: Profiler>(self, profiler: P) -> Classifier<'b, 'w, P> {
        let Self { bundle, isa, arithmetic, profiler: (), phi, logits, scratch, steps, classified } =
            self;
        Classifier { bundle, isa, arithmetic, profiler, phi, logits, scratch, steps, classified }
    }
}

impl<'b, P: Profiler> Classifier<'b, '_, P> {
    /// The same classifier with the kernels of another instruction set than the fastest that the CPU has.
    #[must_use]
    pub fn with_isa(mut self, isa: Isa) -> Self {
        (self.isa, self.classified) = (isa, false);
        self
    }

    /// The instruction set whose kernels it uses.
    pub const fn isa(&self) -> Isa {
        self.isa
    }

    /// Chooses the arithmetic of the Transformer's linear layers; f32 unless chosen.
    pub const fn set_arithmetic(&mut self, arithmetic: Arithmetic) {
        (self.arithmetic, self.classified) = (arithmetic, false);
    }

    /// The bundle.
    pub const fn bundle(&self) -> &Bundle<'b> {
        &self.bundle
    }

    /// The model's configuration.
    pub const fn config(&self) -> &ModelConfig {
        self.bundle.config()
    }

    /// Fits a source in k steps on the pixels that the bundle's draw chooses. Gives the loss before the last
    /// step's update.
    ///
    /// # Errors
    /// An unsuitable source, a value that is not finite, or [`Error::Diverged`].
    pub fn fit<S: PixelSource>(&mut self, source: &S) -> Result<f32, Error> {
        self.begin();
        let mut loss = 0.0;
        while let Some(l) = self.step(source)? {
            loss = l;
        }
        Ok(loss)
    }

    /// As [`fit`](Self::fit), on samples of the caller's choice: `indices` is `[k, P]`, P at least 1.
    ///
    /// # Errors
    /// [`Error::Indices`] besides those of [`fit`](Self::fit).
    pub fn fit_indices<S: PixelSource>(
        &mut self,
        source: &S,
        indices: &[u32],
    ) -> Result<f32, Error> {
        let steps = self.config().inner_steps;
        let pixels_per_step = indices.len() / steps;
        let inside = indices.iter().all(|i| (*i as usize) < source.len());
        if pixels_per_step == 0 || pixels_per_step * steps != indices.len() || !inside {
            return Err(Error::Indices);
        }
        self.begin();
        let mut loss = 0.0;
        for indices in indices.chunks_exact(pixels_per_step) {
            let index = |i| indices.get(i).map_or(0, |index| *index as usize);
            loss = self.step_on(&Picked { source, pixels_per_step, index })?;
        }
        Ok(loss)
    }

    /// Starts a fit: φ = θ.
    pub fn begin(&mut self) {
        fit::start(&self.bundle, self.phi);
        (self.steps, self.classified) = (Some(0), false);
    }

    /// Takes the next inner step of the fit and gives the loss on its pixels before the update; `None` when
    /// all k steps are taken. Starts a fit when none is under way.
    ///
    /// # Errors
    /// As [`fit`](Self::fit); a failed step ends the fit.
    pub fn step<S: PixelSource>(&mut self, source: &S) -> Result<Option<f32>, Error> {
        if self.steps.is_none() {
            self.begin();
        }
        let (config, step) = (*self.config(), self.steps.unwrap_or(0));
        if step >= config.inner_steps {
            return Ok(None);
        }
        let samples = source.len();
        let pixels_per_step = draw::share(config.pixels_per_step, config.image.pixels(), samples);
        let pixels = config.draw.step(step, pixels_per_step, samples);
        self.step_on(&Picked { source, pixels_per_step, index: |i| pixels.index(i) }).map(Some)
    }

    // One copy, whoever calls: on a microcontroller it is a fifth of the program.
    #[inline(never)]
    fn step_on<S: PixelSource>(
        &mut self,
        picked: &Picked<'_, S, impl Fn(usize) -> usize>,
    ) -> Result<f32, Error> {
        let step = self.steps.take().unwrap_or(0);
        self.classified = false;
        picked.source.check(self.bundle.config())?;
        if picked.source.is_empty() {
            return Err(Error::NoSamples);
        }
        let mut scratch = FitScratch::new(&self.bundle, self.scratch)?;
        self.profiler.begin(Phase::Step(step));
        let loss = with_kernel!(self.isa, kernel => {
            scratch.step(kernel, &self.bundle, self.phi, step, picked)
        })?;
        self.profiler.end(Phase::Step(step));
        self.steps = Some(step + 1);
        Ok(loss)
    }

    /// Inner steps taken; 0 when nothing is fitted.
    pub fn steps(&self) -> usize {
        self.steps.unwrap_or(0)
    }

    /// The K logits of the fit as it is, after all k steps or any number of them.
    ///
    /// # Errors
    /// [`Error::NotFitted`], or [`Error::Diverged`] when a logit is not finite.
    pub fn logits(&mut self) -> Result<&[f32], Error> {
        self.fitted()?;
        if !self.classified {
            let mut transformer =
                Transformer::new(self.bundle.config(), self.arithmetic, self.scratch)?;
            with_kernel!(self.isa, kernel => {
                transformer.logits(kernel, &self.bundle, self.phi, self.logits, &mut self.profiler)
            })?;
            self.classified = true;
        }
        Ok(self.logits)
    }

    /// The `N` most likely classes, most likely first; fewer when the model has fewer.
    ///
    /// # Errors
    /// As [`logits`](Self::logits).
    pub fn top_k<const N: usize>(&mut self) -> Result<TopK<N>, Error> {
        self.logits().map(TopK::new)
    }

    /// Mean squared error and PSNR of the fit over all samples of a source.
    ///
    /// # Errors
    /// [`Error::NotFitted`], an unsuitable source, or [`Error::Diverged`] when the fit draws what is not finite.
    pub fn quality<S: PixelSource>(&mut self, source: &S) -> Result<Quality, Error> {
        self.fitted()?;
        source.check(self.bundle.config())?;
        if source.is_empty() {
            return Err(Error::NoSamples);
        }
        let mut scratch = FitScratch::new(&self.bundle, self.scratch)?;
        let (mse, clamped) = with_kernel!(self.isa, kernel => {
            scratch.quality(kernel, &self.bundle, self.phi, source)
        })?;
        // φ is finite, but what it draws need not be.
        let finite = mse.is_finite() && clamped.is_finite();
        if finite { Ok(Quality { mse, psnr: psnr(clamped) }) } else { Err(Error::Diverged) }
    }

    /// The fitted SIREN's C values at (y, x), anywhere: [-1, 1] is the image, beyond is extrapolation.
    ///
    /// # Errors
    /// [`Error::NotFitted`]; [`Error::OutputLength`] when `values` is not C long; [`Error::Diverged`] when they are not
    /// finite.
    pub fn reconstruct_at(&mut self, y: f32, x: f32, values: &mut [f32]) -> Result<(), Error> {
        self.predict(1, values.len(), &|_| [y, x], &mut |_, out| {
            values.iter_mut().zip(out).for_each(|(v, o)| *v = *o);
        })
    }

    /// The fitted SIREN as an image of any size: `[H, W, C]` bytes, row by row.
    ///
    /// # Errors
    /// As [`reconstruct_at`](Self::reconstruct_at), for `bytes` that are not height·width·C long.
    pub fn reconstruct(&mut self, size: ImageSize, bytes: &mut [u8]) -> Result<(), Error> {
        let (pixels, input) = (size.pixels(), self.bundle.header().input);
        let channels = bytes.len().checked_div(pixels).unwrap_or(0);
        if channels * pixels != bytes.len() {
            return Err(Error::OutputLength);
        }
        let at = |i| grid::pixel(i, size.height, size.width);
        self.predict(pixels, channels, &at, &mut |i, values| {
            let out = bytes.get_mut(i * channels..).unwrap_or_default();
            out.iter_mut().zip(values).for_each(|(byte, value)| *byte = input.byte(*value));
        })
    }

    fn predict(
        &mut self,
        count: usize,
        channels: usize,
        coordinate: &impl Fn(usize) -> [f32; 2],
        out: &mut impl FnMut(usize, &[f32]),
    ) -> Result<(), Error> {
        self.fitted()?;
        if channels != self.config().channels {
            return Err(Error::OutputLength);
        }
        let mut scratch = FitScratch::new(&self.bundle, self.scratch)?;
        let mut finite = true;
        let out = &mut |i, values: &[f32]| {
            finite &= values.iter().all(|v| v.is_finite());
            out(i, values);
        };
        with_kernel!(self.isa, kernel => {
            scratch.predict(kernel, self.bundle.config(), self.phi, count, coordinate, out);
        });
        if finite { Ok(()) } else { Err(Error::Diverged) }
    }

    /// φ, the fitted values: for each sine layer W `[inputs, D]` row by row, then b `[D]`.
    ///
    /// # Errors
    /// [`Error::NotFitted`].
    pub fn phi(&self) -> Result<&[f32], Error> {
        self.fitted()?;
        Ok(self.phi)
    }

    /// Token `token` = 0..T of the fit, λ(φ - θ + β), into `out`, which is D+1 long.
    ///
    /// # Errors
    /// [`Error::NotFitted`]; [`Error::OutputLength`] for a wrong length or a token that is not there.
    pub fn token(&self, token: usize, out: &mut [f32]) -> Result<(), Error> {
        self.fitted()?;
        let config = self.config();
        if out.len() != config.token_len() || token >= config.tokens() {
            return Err(Error::OutputLength);
        }
        let (layer, neuron) = (token / config.dim + 1, token % config.dim);
        transformer::tokens(&self.bundle, self.phi, layer, neuron, out);
        Ok(())
    }

    /// Fits and classifies the bundle's golden samples and compares with the trainer's logits.
    ///
    /// # Errors
    /// [`Error::SelfTest`] when one is further away than
    /// [`SELF_TEST_TOLERANCE`](Self::SELF_TEST_TOLERANCE), or what [`fit`](Self::fit) gives.
    pub fn self_test(&mut self) -> Result<SelfTest, Error> {
        let mut result = SelfTest { samples: 0, max_error: 0.0 };
        let ModelConfig { image, channels, .. } = *self.config();
        for sample in self.bundle.golden_samples() {
            self.fit(&Image::new(sample.image, image.height, image.width, channels)?)?;
            for (got, want) in self.logits()?.iter().zip(sample.logits.iter()) {
                result.max_error = result.max_error.max((got - want).abs());
            }
            result.samples += 1;
        }
        let passed = result.max_error <= Classifier::SELF_TEST_TOLERANCE;
        if passed { Ok(result) } else { Err(Error::SelfTest) }
    }

    fn fitted(&self) -> Result<(), Error> {
        if self.steps.is_some() { Ok(()) } else { Err(Error::NotFitted) }
    }
}
