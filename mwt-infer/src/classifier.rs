//! The crate's front door.

use mwt_core::grid::psnr;
use mwt_core::{Bundle, Draw, Extents, ModelConfig};

use crate::arithmetic::Arithmetic;
use crate::error::Error;
use crate::fit::{self, FitScratch, Picked};
use crate::kernels::Isa;
use crate::profile::{Phase, Profiler};
use crate::range::Range;
use crate::source::{FromNumber, SampleSource, Signal};
use crate::top_k::{self, Prediction, TopK};
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
    draw: Draw,
    range: Range,
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
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Quality {
    /// Mean squared error of the values, which lie in [-1, 1].
    pub mse: f32,
    /// Peak signal-to-noise ratio in dB, after clamping.
    pub psnr: f32,
}

/// What the golden samples of a bundle gave.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SelfTest {
    /// Samples tried.
    pub samples: usize,
    /// Largest distance of a logit from the trainer's.
    pub max_error: f32,
}

impl<'b, 'w> Classifier<'b, 'w> {
    /// Logits further than this from the trainer's, or a tenth of this times the largest of them where that is above 10,
    /// fail the self-test.
    pub const SELF_TEST_TOLERANCE: f32 = 1e-3;

    /// How many times further they may be with [`Arithmetic::Int8`], which rounds what the trainer does not: an instruction
    /// that computes wrongly moves them by far more.
    pub const SELF_TEST_INT8: f32 = 20.0;

    /// How far the logits of a golden sample may be from those of the trainer, which are `golden`.
    pub fn self_test_tolerance(golden: impl Iterator<Item = f32>) -> f32 {
        Self::SELF_TEST_TOLERANCE * 0.1 * golden.fold(10.0f32, |size, logit| size.max(logit.abs()))
    }

    /// A classifier for a parsed bundle in `workspace`, of which it takes the first
    /// [`workspace_len`] values.
    ///
    /// # Errors
    /// [`Error::Workspace`] when there are fewer.
    pub fn new(bundle: &Bundle<'b>, workspace: &'w mut [f32]) -> Result<Self, Error> {
        let (needed, given) = (workspace_len(bundle.config()), workspace.len());
        let plan = Plan::new(bundle.config());
        let mut workspace = Carve(workspace);
        if given < needed {
            return Err(Error::workspace(needed, given));
        }
        Ok(Self {
            bundle: *bundle,
            isa: Isa::detect(),
            arithmetic: Arithmetic::F32,
            draw: bundle.config().draw,
            range: Range::USUAL,
            profiler: (),
            phi: workspace.take(plan.phi)?,
            scratch: workspace.take(plan.scratch())?,
            logits: workspace.take(plan.logits)?,
            steps: None,
            classified: false,
        })
    }

    /// As [`new`](Self::new), for bundles from elsewhere: one whose signal takes more than `macs` multiply-adds
    /// ([`Bundle::macs`]) is refused before anything runs.
    ///
    /// # Errors
    /// [`Error::Work`] besides those of [`new`](Self::new).
    pub fn with_limit(
        bundle: &Bundle<'b>,
        workspace: &'w mut [f32],
        macs: u64,
    ) -> Result<Self, Error> {
        let needed = bundle.macs();
        if needed > macs { Err(Error::Work { needed }) } else { Self::new(bundle, workspace) }
    }

    /// The same classifier, which tells a profiler when each phase begins and ends.
    pub fn with_profiler<P: Profiler>(self, profiler: P) -> Classifier<'b, 'w, P> {
        let Self {
            bundle, isa, arithmetic, draw, range, profiler: (), phi, logits, scratch, ..
        } = self;
        let (steps, classified) = (None, false);
        Classifier {
            bundle,
            isa,
            arithmetic,
            draw,
            range,
            profiler,
            phi,
            logits,
            scratch,
            steps,
            classified,
        }
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

    /// Chooses another draw than the bundle's. One of another kind than the model was trained on costs accuracy.
    ///
    /// # Errors
    /// [`Error::Bundle`] with the limit that the configuration then breaks.
    pub fn set_draw(&mut self, draw: Draw) -> Result<(), Error> {
        let config = ModelConfig { draw, ..*self.config() };
        config.check().map_err(mwt_core::Error::from)?;
        (self.draw, self.steps) = (draw, None);
        Ok(())
    }

    /// Chooses what becomes of values that are far outside what training saw: [`Range::USUAL`] unless chosen.
    pub const fn set_range(&mut self, range: Range) {
        self.range = range;
    }

    /// The profiler.
    pub const fn profiler_mut(&mut self) -> &mut P {
        &mut self.profiler
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
    pub fn fit<S: SampleSource>(&mut self, source: &S) -> Result<f32, Error> {
        self.begin();
        let mut loss = 0.0;
        while let Some(l) = self.step(source)? {
            loss = l;
        }
        Ok(loss)
    }

    /// As [`fit`](Self::fit), but ends with the first step after which the most likely class is at least as likely as
    /// `confidence`, from 0 to 1, and gives how many steps were taken. After each step but the last the fit is classified:
    /// that pays where a step costs more than a pass of the Transformer does, as docs/PERFORMANCE.md has it for each model.
    ///
    /// # Errors
    /// As [`fit`](Self::fit) and [`logits`](Self::logits).
    pub fn fit_until<S: SampleSource>(
        &mut self,
        source: &S,
        confidence: f32,
    ) -> Result<usize, Error> {
        self.begin();
        while self.step(source)?.is_some() && self.steps() < self.config().inner_steps {
            if self.top_k::<1>()?.iter().any(|best| best.probability >= confidence) {
                break;
            }
        }
        Ok(self.steps())
    }

    /// As [`fit`](Self::fit), on samples of the caller's choice: `indices` is `[k, P]`, P at least 1.
    ///
    /// # Errors
    /// [`Error::Indices`] besides those of [`fit`](Self::fit).
    pub fn fit_indices<S: SampleSource>(
        &mut self,
        source: &S,
        indices: &[u32],
    ) -> Result<f32, Error> {
        let steps = self.config().inner_steps;
        let count = indices.len() / steps;
        let there = indices.iter().all(|i| source.is_there(*i as usize));
        if count == 0 || count * steps != indices.len() || !there {
            return Err(Error::Indices);
        }
        self.begin();
        let mut loss = 0.0;
        for indices in indices.chunks_exact(count) {
            let index = |i| indices.get(i).map(|index: &u32| *index as usize);
            loss = self.step_on(&Picked { source, count, candidates: count, index })?;
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
    pub fn step<S: SampleSource>(&mut self, source: &S) -> Result<Option<f32>, Error> {
        if self.steps.is_none() {
            self.begin();
        }
        let (step, config) = (self.steps.unwrap_or(0), self.bundle.config());
        if step >= config.inner_steps {
            return Ok(None);
        }
        let extents = config.extents;
        let mut draw = self.draw.step(step, config.pixels_per_step, extents);
        let len = source.len();
        let there =
            (!source.is_complete()).then(|| (0..len).filter(|i| source.is_there(*i)).count());
        if let Some(there) = there {
            draw = draw.for_samples(there);
        }
        // Where a step finds nothing at all it takes all that is there.
        let mut all = false;
        let mut candidates = if S::SCATTERED { len } else { draw.count() };
        let index = |all: bool, i: usize| {
            let (index, among) = if all {
                (i, true)
            } else if S::SCATTERED {
                let mut at = [0.0; Extents::MAX_AXES];
                source.coordinates(i, &mut at);
                (i, draw.contains(extents.nearest(&at)))
            } else {
                (draw.index(i), true)
            };
            (among && source.is_there(index)).then_some(index)
        };
        let mut count = candidates;
        if let Some(there) = there {
            count = (0..candidates).filter(|i| index(false, *i).is_some()).count();
            if count == 0 {
                (all, candidates, count) = (true, len, there);
            }
        }
        self.step_on(&Picked { source, count, candidates, index: |i| index(all, i) }).map(Some)
    }

    // One copy, whoever calls: on a microcontroller it is a fifth of the program.
    #[inline(never)]
    fn step_on<S: SampleSource>(
        &mut self,
        picked: &Picked<'_, S, impl Fn(usize) -> Option<usize>>,
    ) -> Result<f32, Error> {
        let step = self.steps.take().unwrap_or(0);
        self.classified = false;
        picked.source.check(self.bundle.config())?;
        if picked.count == 0 {
            return Err(Error::NoSamples);
        }
        let mut scratch = FitScratch::new(&self.bundle, self.range, self.scratch)?;
        self.profiler.begin(Phase::Step(step));
        let loss = scratch.step(self.isa, self.arithmetic, &self.bundle, self.phi, step, picked)?;
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
            let (bundle, profiler) = (&self.bundle, &mut self.profiler);
            let mut transformer =
                Transformer::new(bundle.config(), self.isa, self.arithmetic, self.scratch)?;
            profiler.begin(Phase::Tokens);
            transformer.tokens(bundle, self.phi);
            profiler.end(Phase::Tokens);
            for b in 0..bundle.config().blocks {
                profiler.begin(Phase::Block(b));
                transformer.block(bundle, b);
                profiler.end(Phase::Block(b));
            }
            profiler.begin(Phase::Logits);
            transformer.logits(bundle, self.logits)?;
            profiler.end(Phase::Logits);
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

    /// All classes, the most likely first, for as many as the caller wants at run time.
    ///
    /// # Errors
    /// As [`logits`](Self::logits).
    pub fn ranked(&mut self) -> Result<impl Iterator<Item = Prediction>, Error> {
        self.logits().map(top_k::ranked)
    }

    /// Mean squared error and PSNR of the fit over all samples of a source.
    ///
    /// # Errors
    /// [`Error::NotFitted`], an unsuitable source, or [`Error::Diverged`] when the fit draws what is not finite.
    pub fn quality<S: SampleSource>(&mut self, source: &S) -> Result<Quality, Error> {
        self.fitted()?;
        source.check(self.bundle.config())?;
        let mut scratch = FitScratch::new(&self.bundle, self.range, self.scratch)?;
        let (mse, clamped) = scratch.quality(self.isa, &self.bundle, self.phi, source)?;
        // φ is finite, but what it draws need not be.
        let finite = mse.is_finite() && clamped.is_finite();
        if finite { Ok(Quality { mse, psnr: psnr(clamped) }) } else { Err(Error::Diverged) }
    }

    /// The fitted SIREN's C values at some coordinates, E of them: [-1, 1] is the signal, beyond is extrapolation.
    ///
    /// # Errors
    /// [`Error::NotFitted`]; [`Error::OutputLength`] when `at` is not E or `values` not C long; [`Error::Diverged`] when
    /// they are not finite.
    pub fn reconstruct_at(&mut self, at: &[f32], values: &mut [f32]) -> Result<(), Error> {
        if at.len() != self.config().axes() {
            return Err(Error::OutputLength);
        }
        let coordinates = |_, to: &mut [f32]| to.iter_mut().zip(at).for_each(|(to, at)| *to = *at);
        self.predict(1, values.len(), &coordinates, &mut |_, out| {
            values.iter_mut().zip(out).for_each(|(v, o)| *v = *o);
        })
    }

    /// The fitted SIREN on a grid of any sides: a number for each position, channels interleaved, in the unit of the
    /// model's input.
    ///
    /// # Errors
    /// As [`reconstruct_at`](Self::reconstruct_at), for extents of other axes, or `numbers` of another length than
    /// positions·C.
    pub fn reconstruct<T: FromNumber>(
        &mut self,
        extents: Extents,
        numbers: &mut [T],
    ) -> Result<(), Error> {
        let (positions, input) = (extents.positions(), self.bundle.header().input);
        let channels = numbers.len().checked_div(positions).unwrap_or(0);
        if channels * positions != numbers.len() || extents.axes() != self.config().axes() {
            return Err(Error::OutputLength);
        }
        let at = |i, at: &mut [f32]| extents.coordinates(i, at);
        self.predict(positions, channels, &at, &mut |i, values| {
            let out = numbers.get_mut(i * channels..).unwrap_or_default();
            for (channel, (number, value)) in out.iter_mut().zip(values).enumerate() {
                *number = T::from_number(input.scaling(channel).raw(*value));
            }
        })
    }

    fn predict(
        &mut self,
        count: usize,
        channels: usize,
        coordinates: &impl Fn(usize, &mut [f32]),
        out: &mut impl FnMut(usize, &[f32]),
    ) -> Result<(), Error> {
        self.fitted()?;
        if channels != self.config().channels {
            return Err(Error::OutputLength);
        }
        let mut scratch = FitScratch::new(&self.bundle, self.range, self.scratch)?;
        let mut finite = true;
        let out = &mut |i, values: &[f32]| {
            finite &= values.iter().all(|v| v.is_finite());
            out(i, values);
        };
        scratch.predict(self.isa, self.bundle.config(), self.phi, count, coordinates, out);
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

    /// Fits and classifies the bundle's golden samples and compares with the trainer's logits. A bundle without golden
    /// samples has [`SelfTest::samples`] 0: nothing was tested then.
    ///
    /// # Errors
    /// [`Error::SelfTest`] when one is further away than
    /// [`SELF_TEST_TOLERANCE`](Self::SELF_TEST_TOLERANCE), or with integers
    /// [`SELF_TEST_INT8`](Self::SELF_TEST_INT8) times as far, or what [`fit`](Self::fit) gives.
    pub fn self_test(&mut self) -> Result<SelfTest, Error> {
        self.self_test_of(usize::MAX)
    }

    /// As [`self_test`](Self::self_test), of at most `samples` golden samples.
    ///
    /// # Errors
    /// As there.
    pub fn self_test_of(&mut self, samples: usize) -> Result<SelfTest, Error> {
        // The trainer took every value.
        let range = core::mem::replace(&mut self.range, Range::Any);
        let result = self.test(samples);
        self.range = range;
        result
    }

    fn test(&mut self, samples: usize) -> Result<SelfTest, Error> {
        let mut result = SelfTest { samples: 0, max_error: 0.0 };
        let mut passed = true;
        let rounding =
            if self.arithmetic == Arithmetic::Int8 { Classifier::SELF_TEST_INT8 } else { 1.0 };
        for sample in self.bundle.golden_samples().take(samples) {
            self.fit(&Signal::golden(&self.bundle, &sample)?)?;
            let pairs = self.logits()?.iter().zip(sample.logits.iter());
            let error = pairs.fold(0.0f32, |error, (got, want)| error.max((got - want).abs()));
            passed &= error <= rounding * Classifier::self_test_tolerance(sample.logits.iter());
            result.max_error = result.max_error.max(error);
            result.samples += 1;
        }
        if passed { Ok(result) } else { Err(Error::SelfTest) }
    }

    fn fitted(&self) -> Result<(), Error> {
        if self.steps.is_some() { Ok(()) } else { Err(Error::NotFitted) }
    }
}
