//! `mwt-train eval`.

use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use mwt_core::bundle::SampleType;
use mwt_core::draw::Draw;
use mwt_core::{Bundle, ModelConfig};
use mwt_infer::Arithmetic;

use super::common::{self, CliResult};
use super::model_data::{self, Wanted};
use super::view::FitName;
use crate::backend::BackendName;
use crate::data::{self, Split};
use crate::evaluate::{self, Conditions, Evaluation, Spread, missing, steps};
use crate::model::Params;
use crate::report::{chart, picture};
use crate::run::RunDir;
use crate::run::latest::{self, Latest};
use crate::settings::{Fit, Missing, Settings};
use crate::util::colour::Colour;
use crate::util::text::shown;
use crate::with_backend;

/// Classes up to which the confusion matrix is printed; --json has it always.
const MATRIX: usize = 20;

#[derive(Debug, Args)]
pub(super) struct Eval {
    /// A run's directory or model.safetensors (evaluated through burn), or an .mwt bundle (through mwt-infer)
    #[arg(value_name = "RUN|BUNDLE")]
    model: PathBuf,
    /// `digits`, `gestures`, `solids`, or the path of a data set; its test images, series or volumes are used [default:
    /// the run's own]
    #[arg(long)]
    data: Option<String>,
    /// Names of the data set's classes, by which they are matched with the model's: a file with a name a line, or names
    /// with commas between them
    #[arg(long, value_name = "FILE")]
    labels: Option<String>,
    /// Take the data set's classes for the model's in their order, whatever they are called
    #[arg(long)]
    by_number: bool,
    /// Share of each class to evaluate on where a data set has no test images [default: what training held out of its own
    /// data set, all of any other]
    #[arg(long, value_parser = parse_test_share)]
    test_share: Option<f64>,
    /// Use the validation images that the run set apart from the training images: to choose by, where the test images
    /// are for reporting
    #[arg(long)]
    validation: bool,
    /// The most images
    #[arg(long)]
    limit: Option<usize>,
    /// Samples per second to which sounds are brought [default: the run's; 16000 for a bundle]
    #[arg(long)]
    rate: Option<NonZeroU32>,
    /// How images of a folder are brought to the model's size [default: the run's; crop for a bundle]
    #[arg(long, value_enum)]
    fit: Option<FitName>,
    /// What lies behind their transparent parts and around padded ones: white, black, grey or #rrggbb [default: the run's;
    /// as each picture needs it for a bundle]
    #[arg(long, value_name = "COLOUR")]
    background: Option<Colour>,
    /// Evaluate over so many pixel draws, the model's own first, and give the spread
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    draws: u32,
    /// Arithmetic of a bundle's linear layers
    #[arg(long, value_enum, default_value = "f32")]
    arithmetic: ArithmeticName,
    /// Evaluate a bundle with such shares of the samples missing, as 0,0.25,0.5,0.75,0.9
    #[arg(long, value_delimiter = ',', value_name = "SHARES", value_parser = parse_share)]
    missing: Vec<f32>,
    /// Which samples are missing
    #[arg(long, value_parser = parse_kind, default_value = "samples", value_name = "KIND")]
    missing_kind: Missing,
    /// Choices of the missing samples, over which the spread is given
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=1000))]
    seeds: u64,
    /// Evaluate a bundle after each of its inner steps, at which a device may look and stop
    #[arg(long, conflicts_with_all = ["missing", "draws"])]
    each_step: bool,
    /// Draw accuracy and PSNR over the missing share, or over the inner steps
    #[arg(long, value_name = "OUT.png")]
    chart: Option<PathBuf>,
    /// k: take so many inner steps with a run's model whose steps share one α [default: the model's]
    #[arg(long, value_name = "K")]
    inner_steps: Option<usize>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Where to compute a run's evaluation
    #[arg(long, value_enum, default_value = "cpu")]
    backend: BackendName,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ArithmeticName {
    /// 32-bit floats
    F32,
    /// Integers where the machine multiplies them faster
    Int8,
}

impl From<ArithmeticName> for Arithmetic {
    fn from(name: ArithmeticName) -> Self {
        match name {
            ArithmeticName::F32 => Self::F32,
            ArithmeticName::Int8 => Self::Int8,
        }
    }
}

fn parse_share(text: &str) -> Result<f32, String> {
    let share = text.parse().ok().filter(|share| (0.0..1.0).contains(share));
    share.ok_or_else(|| "expected a share from 0 to below 1".into())
}

fn parse_test_share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| *share > 0.0 && *share <= 1.0);
    share.ok_or_else(|| "expected a share above 0 and at most 1".into())
}

fn parse_kind(word: &str) -> Result<Missing, String> {
    common::parse_word("data.missing_kind", word)
}

impl Eval {
    pub(super) fn run(&self) -> CliResult {
        let is_run =
            self.model.is_dir() || self.model.extension().is_some_and(|e| e == "safetensors");
        self.chart.as_deref().map(picture::format).transpose()?;
        if !self.missing.is_empty() {
            if is_run {
                return Err("--missing is for bundles: export the run first".into());
            }
            return self.with_bundle(|bundle, images| self.with_missing(bundle, images));
        }
        if self.each_step {
            if is_run {
                return Err("--each-step is for bundles: export the run first".into());
            }
            return self.with_bundle(|bundle, images| self.after_each_step(bundle, images));
        }
        if self.chart.is_some() {
            return Err("--chart has no effect without --missing or --each-step".into());
        }
        if self.inner_steps.is_some() && !is_run {
            let why = "a bundle has its own k; export --inner-steps makes another of a run";
            return Err(format!("--inner-steps has no effect: {why}").into());
        }
        let (evaluations, labels) = if is_run {
            self.run_model()?
        } else {
            self.with_bundle(|b, images| self.bundle(b, images))?
        };
        let (Some(first), Some(spread)) = (evaluations.first(), self.spread(&evaluations)) else {
            return Err("there is nothing to evaluate".into());
        };
        if self.json {
            let per_class = first.per_class().into_iter().zip(&labels).map(|((images, right), label)| {
                serde_json::json!({"class": label, "images": images, "right": right})
            });
            let report = serde_json::json!({
                "model": self.model.display().to_string(),
                "data": self.data,
                "images": first.labels.len(),
                "accuracy": first.accuracy(),
                "psnr": first.mean_psnr(),
                "classes": labels,
                "per_class": per_class.collect::<Vec<_>>(),
                "confusion": first.confusion(),
                "draws": {"count": self.draws, "accuracy": spread},
            });
            println!("{report}");
        } else {
            print(first, &labels);
            if self.draws > 1 {
                println!(
                    "\nover {} pixel draws: accuracy {:.2} % ± {:.2} (standard deviation), {:.2} to {:.2} %",
                    self.draws,
                    100.0 * spread.mean,
                    100.0 * spread.deviation,
                    100.0 * spread.min,
                    100.0 * spread.max
                );
            }
        }
        Ok(())
    }

    /// A row for each missing share.
    fn with_missing(&self, bundle: &Bundle<'_>, images: &Split) -> CliResult {
        let arithmetic = self.arithmetic.into();
        let kind = self.missing_kind;
        let rows = missing::rows(bundle, images, arithmetic, kind, &self.missing, self.seeds)?;
        if let Some(path) = &self.chart {
            let drawn = chart::of_missing(&rows).ok_or("a chart needs two shares at least")?;
            picture::save(&drawn, path)?;
        }
        if self.json {
            let report = serde_json::json!({
                "model": self.model.display().to_string(),
                "data": self.data,
                "images": images.len(),
                "missing_kind": kind,
                "seeds": self.seeds,
                "missing": rows,
            });
            println!("{report}");
            return Ok(());
        }
        println!("{} images, {kind} missing, {} choices of them\n", images.len(), self.seeds);
        println!("missing  accuracy               PSNR of all samples");
        for row in &rows {
            let percent = |share: f32| 100.0 * share;
            println!(
                "{:>5.0} %  {:>6.2} % ± {:.2}         {:>6.2} dB",
                percent(row.share),
                percent(row.accuracy.mean),
                percent(row.accuracy.deviation),
                row.psnr
            );
        }
        Ok(())
    }

    /// A row for each inner step.
    fn after_each_step(&self, bundle: &Bundle<'_>, images: &Split) -> CliResult {
        let rows = steps::rows(bundle, images, self.arithmetic.into())?;
        if let Some(path) = &self.chart {
            let drawn = chart::of_steps(&rows).ok_or("a chart needs two inner steps at least")?;
            picture::save(&drawn, path)?;
        }
        if self.json {
            let report = serde_json::json!({
                "model": self.model.display().to_string(),
                "data": self.data,
                "images": images.len(),
                "each_step": rows,
            });
            println!("{report}");
            return Ok(());
        }
        println!("{} images\n", images.len());
        println!("steps  accuracy      PSNR  multiply-adds, one look included");
        for row in &rows {
            println!(
                "{:>5}  {:>6.2} %  {:>5.2} dB  {:>6.2} M",
                row.steps,
                100.0 * row.accuracy,
                row.psnr,
                row.macs as f64 / 1e6
            );
        }
        Ok(())
    }

    /// The images to evaluate on: of a model from a run with these settings, where it is one.
    fn images(
        &self,
        model: Wanted<'_>,
        source: &str,
        seed: u64,
        run: Option<&Settings>,
    ) -> CliResult<Split> {
        let set = model_data::load_for(model, source)?;
        if !self.validation {
            return Ok(set.test);
        }
        // What a run without other settings sets apart.
        let mut settings = run.cloned().unwrap_or_else(|| Settings::of(*model.config));
        settings.train.seed = seed;
        let (_, validation) = settings.split(&set);
        Ok(validation.take(self.limit.unwrap_or(usize::MAX)))
    }

    fn images_for_bundle(&self, bundle: &Bundle<'_>) -> CliResult<Split> {
        let header = bundle.header();
        let labels: Vec<String> = header.labels().map(str::to_owned).collect();
        let wanted =
            self.wanted(&header.config, header.input.sample, &labels, header.facts.data_set);
        let source = self.data.as_deref().ok_or("a bundle has no data set: give --data DIR")?;
        self.images(wanted, source, header.facts.seed, None)
    }

    fn wanted<'a>(
        &'a self,
        config: &'a ModelConfig,
        sample: SampleType,
        labels: &'a [String],
        trained_on: &'a str,
    ) -> Wanted<'a> {
        Wanted {
            config,
            sample,
            labels,
            trained_on,
            limit: self.limit.filter(|_| !self.validation),
            rate: self.rate,
            run: None,
            fit: self.fit.map(Fit::from),
            background: self.background,
            validation: self.validation,
            test_share: self.test_share,
            named: self.labels.as_deref(),
            by_number: self.by_number,
        }
    }

    fn spread(&self, evaluations: &[Evaluation]) -> Option<Spread> {
        Spread::of(&evaluations.iter().map(Evaluation::accuracy).collect::<Vec<_>>())
    }

    /// The model's own draw, then others.
    fn draws(&self, config: &ModelConfig) -> impl Iterator<Item = Draw> + use<> {
        let own = config.draw;
        (0..self.draws).map(move |n| Draw { seed: own.seed.wrapping_add(n), ..own })
    }

    fn run_model(&self) -> CliResult<(Vec<Evaluation>, Vec<String>)> {
        self.backend.check()?;
        if self.arithmetic == ArithmeticName::Int8 {
            return Err("--arithmetic is for bundles: a run is evaluated in floats".into());
        }
        let Latest { model, unfinished } = latest::load(&self.model)?;
        common::tell_unfinished(&self.model, unfinished.as_deref());
        let config = common::with_inner_steps(model.summary.model, self.inner_steps)?;
        let run = RunDir::settings(&self.model).ok();
        let (inputs, summary) = (&model.summary.inputs, &model.summary);
        let own = run.as_ref().map(|settings| settings.data.source.as_str());
        let source = self.data.as_deref().or(own).ok_or("no data set is named: give --data DIR")?;
        let mut wanted = self.wanted(&config, inputs.sample, &summary.labels, &summary.data_set);
        if let Some(settings) = &run {
            wanted.run = Some(&settings.data);
            // Of the run's own data set, wherever it lies now, what the run was told of it.
            if data::name_of(source)? == summary.data_set {
                wanted.test_share = wanted.test_share.or(Some(settings.data.test_share));
                wanted.named = wanted.named.or(settings.data.labels.as_deref());
            }
        }
        let images = self.images(wanted, source, summary.seed, run.as_ref())?;
        // Scaled as the run's own training signals were, whatever this data set's would say.
        let images = images.with_inputs(inputs);
        let evaluations = with_backend!(self.backend, B, device => {
            type Inner = <B as burn::tensor::backend::AutodiffBackend>::InnerBackend;
            let evaluate = |draw| -> CliResult<Evaluation> {
                let weights = model.weights.clone().with_config(ModelConfig { draw, ..config });
                let params = Params::<Inner>::from_weights(&weights?, &device);
                Ok(evaluate::on_backend(&params, &images, 50, &device)?)
            };
            self.draws(&config).map(evaluate).collect::<CliResult<_>>()?
        });
        Ok((evaluations, model.summary.labels.iter().map(|label| shown(label)).collect()))
    }

    /// Does something with the bundle and the images to evaluate it on.
    fn with_bundle<T>(
        &self,
        work: impl FnOnce(&Bundle<'_>, &Split) -> CliResult<T>,
    ) -> CliResult<T> {
        let bytes = common::read(&self.model)?;
        let bundle = common::parse(&self.model, &bytes)?;
        let images = self.images_for_bundle(&bundle)?;
        work(&bundle, &images)
    }

    fn bundle(
        &self,
        bundle: &Bundle<'_>,
        images: &Split,
    ) -> CliResult<(Vec<Evaluation>, Vec<String>)> {
        let arithmetic = self.arithmetic.into();
        let evaluate = |draw| {
            let conditions = Conditions { arithmetic, draw: Some(draw), missing: None };
            evaluate::on_bundle(bundle, images, conditions)
        };
        let evaluations = self.draws(bundle.config()).map(evaluate).collect::<Result<_, _>>()?;
        let labels = bundle.header().labels().map(shown).collect();
        Ok((evaluations, labels))
    }
}

fn print(evaluation: &Evaluation, labels: &[String]) {
    println!(
        "{} images: accuracy {:.2} %, PSNR {:.2} dB\n",
        evaluation.labels.len(),
        100.0 * evaluation.accuracy(),
        evaluation.mean_psnr()
    );
    let name = labels.iter().map(|l| l.chars().count()).max().unwrap_or(0).max("class".len());
    println!("{:<name$}  images   right  accuracy", "class");
    for (label, (images, right)) in labels.iter().zip(evaluation.per_class()) {
        let share = match images {
            0 => "     -".to_owned(),
            _ => format!("{:>6.2} %", 100.0 * right as f32 / images as f32),
        };
        println!("{label:<name$}  {images:>6}  {right:>6}  {share}");
    }
    if labels.len() > MATRIX {
        return;
    }
    let counts = evaluation.confusion();
    let widest = counts.iter().flatten().max().map_or(1, |n| n.to_string().len()).max(2);
    println!("\nconfusion: a row for each right class, a column for each answer");
    print!("{:<name$} ", "");
    (0..labels.len()).for_each(|column| print!(" {column:>widest$}"));
    println!();
    for (label, row) in labels.iter().zip(counts) {
        print!("{label:<name$} ");
        row.iter().for_each(|count| print!(" {count:>widest$}"));
        println!();
    }
}
