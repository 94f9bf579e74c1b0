//! The sections of `settings.toml`, every setting once.

use std::num::NonZeroU32;

use super::key::Key;
use super::section::{choice, section};
use super::value::Range::{Above, Below, Within};
use super::value::ValueType::{self, Choice, Integer, Number, Shares, Sides, Size, Switch, Text};
use crate::util::colour::Colour;

const COUNT: ValueType = Integer(Within(1.0, 1e9));
const COUNT_OR_NONE: ValueType = Integer(Within(0.0, 1e9));
const SEED: ValueType = Integer(Within(0.0, 9e18));
const LEARNING_RATE: ValueType = Number(Above(0.0, f64::MAX));
/// Samples per second that are common for speech.
const SPEECH: NonZeroU32 = NonZeroU32::new(16_000).unwrap();
const SHARE: ValueType = Number(Below(0.0, 1.0));

section! {
    /// Which images, series or volumes.
    pub struct DataSettings in "data" {
        /// `digits`, `gestures` (series) or `solids` (volumes), which are built in, or the directory of a data set:
        /// images or WAV files in a folder a class, in train/ and test/ or val/ or in neither; MNIST-style idx files,
        /// CIFAR's or STL-10's batches, .ts files of aeon, an .npz archive, or meshes as CLASS/train/*.off and
        /// CLASS/test/*.off.
        source: String = String::new(), Text, [flag];
        /// Names of the classes in place of the data set's own: a file with a name a line in the order of the classes, or
        /// lines of a class, a tab, and its name; or the names with commas between them.
        labels: Option<String> = None, Text, [flag];
        /// Share of each class that is held out for testing where a data set has no test images of its own.
        test_share: f64 = 0.2, Number(Within(0.01, 0.9)), [flag];
        /// Training images set apart as validation images, to choose by; at most a fifth of all.
        validation: usize = 5000, COUNT_OR_NONE, was "held_out", [flag];
        /// The most images of each split; all when absent.
        limit: Option<usize> = None, COUNT, [flag];
        /// Height and width to which the images of a folder are brought; their own when absent.
        image_size: Option<(usize, usize)> = None, Size, [flag];
        /// How the images of a folder are brought to image_size where their proportions are others.
        fit: Fit = Fit::Crop, Choice(Fit::WORDS), [flag];
        /// Read the images of a folder in grey, also those that are stored in colour; when off, in grey where all are.
        grey: bool = false, Switch, [flag];
        /// What lies behind the transparent parts of an image, and around one that is padded; when absent white behind
        /// it, or black where on white nothing could be seen, and around it the colour of its border.
        background: Option<Colour> = None, ValueType::Colour, [flag];
        /// GiB that the decoded images of a folder, or the series or volumes of a split, may take in memory. Images that
        /// would take more are decoded each time they are used; more series or volumes are refused.
        memory_gib: f64 = 8.0, Number(Within(0.0, 1e6)), [flag];
        /// Training images of the built-in digits.
        digits: usize = 12_000, COUNT;
        /// Training series of the built-in gestures.
        gestures: usize = 6_000, COUNT;
        /// Training volumes of the built-in solids.
        solids: usize = 4_000, COUNT;
        /// Samples per second to which the sounds of WAV files are brought.
        rate: NonZeroU32 = SPEECH, Integer(Within(1.0, 768_000.0)), [flag];
        /// Samples of a sound at that rate: its beginning, followed by silence where it is shorter.
        window: usize = 16_000, Integer(Within(1.0, 65_536.0)), [flag];
        /// Positions along each axis of the grid onto which meshes are brought.
        side: usize = 32, Integer(Within(1.0, 256.0)), [flag];
        /// Least and largest share of a training signal's samples to leave out, so that the model learns to do without; 0
        /// leaves all in.
        missing: [f64; 2] = [0.0, 0.0], Shares, [flag];
        /// Which samples are left out.
        missing_kind: Missing = Missing::Samples, Choice(Missing::WORDS), [flag];
        /// Share of the training signals of which none is left out.
        complete: f64 = 0.35, Number(Within(0.0, 1.0)), [flag];
    }
}

choice! {
    /// How an image is brought to a shape of other proportions.
    pub enum Fit {
        /// Cut about its centre to the shape's proportions, and scaled.
        Crop = "crop",
        /// Scaled to lie within the shape, which is filled up around it.
        Pad = "pad",
        /// Scaled to the shape, each side by itself.
        Stretch = "stretch",
    }
}

choice! {
    /// Which samples of a signal are missing.
    pub enum Missing {
        /// Each by itself.
        Samples = "samples",
        /// Whole lines across the first axis: rows of an image.
        Rows = "rows",
        /// Whole lines across the last axis: columns of an image.
        Columns = "columns",
        /// One box.
        Blocks = "blocks",
        /// All that lies in one stretch of the first axis: of time, in a series.
        Stretches = "stretches",
        /// One of these at random for each signal.
        Mixed = "mixed",
    }
}

choice! {
    /// How the classifier and the SIREN are trained together.
    pub enum Mode {
        /// MWT, end to end: the classification loss shapes θ and α, weighted by w_cls.
        Mwt = "mwt",
        /// The paper's WT: both losses at once, no gradient from the classifier into the SIREN.
        WtSimultaneous = "wt-simultaneous",
        /// The paper's WT, one after the other: first the SIREN, then the classifier, for the same epochs each.
        WtSequential = "wt-sequential",
    }
}

choice! {
    /// What becomes of an outer step whose losses or gradients are infinite or not a number.
    pub enum OnDivergence {
        /// The run stops, and says which checkpoint is the last good one.
        Stop = "stop",
        /// The step is left out, as if its images had not been there; ten in a row stop the run after all. Costs a wait
        /// for the device at each step.
        Skip = "skip",
    }
}

choice! {
    /// To how many bits the Transformer's products round their factors, on devices with units for that; the inner loop's
    /// are exact f32 everywhere.
    pub enum Precision {
        /// 24 significant bits: exact.
        F32 = "f32",
        /// 11 significant bits, on NVIDIA's tensor cores.
        Tf32 = "tf32",
        /// 8 significant bits, of results too.
        Bf16 = "bf16",
    }
}

section! {
    /// The outer loop. The defaults are the paper's recipe but for batch and learning rates, which suit the small models
    /// better.
    pub struct TrainSettings in "train" {
        /// Seed of everything random.
        seed: u64 = 0, SEED, [flag];
        /// Model to start from in place of chance: a bundle, a run, or a run's file. Sizes and draw are that model's; classes
        /// that it does not know by name get a new row of the head.
        init: Option<String> = None, Text, [flag];
        /// Leave θ, α and the SIREN's head as init has them, and train the Transformer and β alone.
        freeze_siren: bool = false, Switch, [flag];
        /// Passes over the training images.
        epochs: u64 = 10, COUNT, [flag];
        /// N: images per outer step.
        batch: usize = 32, Integer(Within(1.0, 1e6)), [flag];
        /// How SIREN and classifier are trained together.
        mode: Mode = Mode::Mwt, Choice(Mode::WORDS), [flag];
        /// Precision of the Transformer's products on GPUs that have units for it; the inner loop is exact everywhere.
        precision: Precision = Precision::F32, Choice(Precision::WORDS), [flag];
        /// Weight of the classification loss's gradient on θ, α and the SIREN's head.
        w_cls: f64 = 0.01, Number(Within(0.0, 1.0)), [flag];
        /// Label smoothing: share of the target that is spread over all classes evenly.
        label_smoothing: f64 = 0.0, SHARE, [flag];
        /// Peak learning rate of θ and the SIREN's head.
        lr_siren: f64 = 1e-3, LEARNING_RATE, was "rate_siren", [flag];
        /// Peak learning rate of α, the inner learning rates.
        lr_alpha: f64 = 1e-2, LEARNING_RATE, was "rate_alpha", [flag];
        /// Peak learning rate of the Transformer and β.
        lr_classifier: f64 = 1e-3, LEARNING_RATE, was "rate_classifier", [flag];
        /// Share of the outer steps in which the learning rates rise to their peaks.
        warmup: f64 = 0.05, SHARE, was "rise";
        /// Decoupled weight decay.
        weight_decay: f64 = 1e-4, SHARE;
        /// Norm to which each group's gradient is clipped.
        clip: f64 = 1.0, Number(Above(0.0, 1e9));
        /// Seconds between two checkpoints; there is one at the end of each epoch besides.
        checkpoint_seconds: f64 = 60.0, Number(Within(0.0, 1e6)), [flag];
        /// Validation images that are evaluated at the end of each epoch, to choose the best epoch by; the end of the run
        /// evaluates all of them.
        validation_images: usize = 1000, COUNT_OR_NONE, was "epoch_images";
        /// What becomes of an outer step whose losses or gradients are not finite.
        on_divergence: OnDivergence = OnDivergence::Stop, Choice(OnDivergence::WORDS), [flag];
    }
}

section! {
    /// How training images, series and volumes are varied; the default leaves them as they are.
    #[derive(Copy)]
    pub struct AugmentSettings in "augment" {
        /// Largest shift of a training image in pixels, up, down, left and right; what lies outside is reflected at the
        /// border.
        pad: usize = 0, Integer(Within(0.0, 1024.0)), [flag];
        /// Mirror half of the training images left to right.
        flip: bool = false, Switch, [flag];
        /// Largest rotation of a training image, either way, in degrees.
        rotate: f32 = 0.0, Number(Within(0.0, 180.0)), [flag];
        /// Smallest share of a training image's area that a crop keeps before it is brought back to size; 1 keeps all.
        crop: f32 = 1.0, Number(Within(0.01, 1.0)), [flag];
        /// Largest shift of a training series or volume along its first axis, either way, in samples; what comes in from
        /// outside is missing.
        shift: usize = 0, Integer(Within(0.0, 65_535.0)), [flag];
        /// Largest relative change, up or down, of the scale of all values of a training series or volume.
        gain: f32 = 0.0, Number(Below(0.0, 1.0)), [flag];
        /// Standard deviation of the noise that is added to a training series or volume, where 1 is three of the channel's
        /// own.
        noise: f32 = 0.0, Number(Within(0.0, 10.0)), [flag];
        /// Largest displacement of the samples of a training series in time, or of a volume's along its first axis, each by
        /// itself, in samples.
        jitter: f32 = 0.0, Number(Within(0.0, 1.0)), [flag];
    }
}

impl AugmentSettings {
    /// Whether images stay as they are.
    pub fn is_off(&self) -> bool {
        *self == Self::default()
    }

    /// The first setting that is on and varies images.
    pub fn of_images(&self) -> Option<&'static str> {
        let Self { pad, flip, rotate, crop, .. } = *self;
        let on = [
            ("augment.pad", pad > 0),
            ("augment.flip", flip),
            ("augment.rotate", rotate > 0.0),
            ("augment.crop", crop < 1.0),
        ];
        on.into_iter().find(|(_, on)| *on).map(|(key, _)| key)
    }

    /// The first setting that is on and varies series and volumes.
    pub fn of_signals(&self) -> Option<&'static str> {
        let Self { shift, gain, noise, jitter, .. } = *self;
        let on = [
            ("augment.shift", shift > 0),
            ("augment.gain", gain > 0.0),
            ("augment.noise", noise > 0.0),
            ("augment.jitter", jitter > 0.0),
        ];
        on.into_iter().find(|(_, on)| *on).map(|(key, _)| key)
    }
}

const fn model(name: &'static str, kind: ValueType, text: &'static str) -> Key {
    Key { name, kind, text, old: None, flag: false }
}

/// The keys of the model, whose struct is mwt-core's [`ModelConfig`](mwt_core::ModelConfig): a preset's, changed by these.
#[rustfmt::skip] // A table.
pub(super) const MODEL_KEYS: &[Key] = &[
    Key { old: Some("model.width"), ..model("model.dim", Integer(Within(8.0, 1024.0)), "D: neurons of a sine layer, and width of the Transformer.") },
    model("model.hidden_layers", COUNT, "L: hidden sine layers, whose neurons are the tokens."),
    Key { old: Some("model.steps"), ..model("model.inner_steps", COUNT, "k: inner gradient steps.") },
    model("model.blocks", COUNT, "B: blocks of the Transformer."),
    model("model.mlp_mult", COUNT, "Width of a block's MLP, in D."),
    model("model.channels", COUNT, "C: channels of a sample; the data set's."),
    model("model.classes", COUNT, "K: classes; the data set's."),
    model("model.pixels_per_step", COUNT, "P: samples that each inner step looks at; the share s of the grid's when absent."),
    Key { flag: true, ..model("model.sampling", Number(Above(0.0, 1.0)), "s: share of the samples that each inner step looks at; the preset's when absent.") },
    model("model.omega", Number(Above(0.0, 1e4)), "ω: frequency of the first sine layer."),
    model("model.lambda", Number(Above(0.0, 1e6)), "λ: scale of the tokens."),
    model("model.shared_alpha", Switch, "One α for all inner steps instead of one for each."),
    model("model.extents", Sides, "Sides of the grid, such as [height, width]; the data set's."),
    Key { flag: true, ..model("model.draw.kind", Choice(DRAWS), "Which samples each inner step looks at.") },
    model("model.draw.cell", Sides, "Sides of a stratified draw's cells; those nearest to 1/s samples when absent."),
    model("model.draw.seed", Integer(Within(0.0, 4_294_967_295.0)), "Chooses the draw; train.seed when absent."),
];

/// The words of [`DrawKind`](mwt_core::draw::DrawKind).
const DRAWS: &[(&str, &str)] = &[
    ("Random", "The paper's: fresh samples for each step and signal."),
    (
        "Partition",
        "One fixed shuffled partition of the samples over the steps, the same for every signal.",
    ),
    ("Stratified", "One sample of every cell for each step, in an order of each signal's own."),
];
