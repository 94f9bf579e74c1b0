//! A model with all that it borrows.

use std::fmt::Write;

use mwt_infer::mwt_core::bundle::SampleType;
use mwt_infer::{Bundle, Classifier, Error, Extents, Numbers, Signal, WorkspaceBuf, workspace_len};
use self_cell::{MutBorrow, self_cell};

/// Multiply-adds per signal above which a bundle is refused: the page would stand still for seconds.
const LIMIT_MACS: u64 = 4_000_000_000;

struct Owned {
    bundle: Vec<u8>,
    workspace: MutBorrow<WorkspaceBuf>,
}

/// The one that `self_cell` hands its lifetime to.
type Borrowing<'a> = Classifier<'a, 'a>;

self_cell!(
    struct Cell {
        owner: Owned,
        #[covariant]
        dependent: Borrowing,
    }
);

/// A parsed bundle and its classifier.
pub(crate) struct Model(Cell);

impl Model {
    pub(crate) fn new(bundle: Vec<u8>) -> Result<Self, Error> {
        // Its size decides that of the workspace.
        let config = *Bundle::parse(&bundle)?.config();
        let workspace = MutBorrow::new(WorkspaceBuf::new(&config));
        let cell = Cell::try_new(Owned { bundle, workspace }, |owned| {
            let bundle = Bundle::parse(&owned.bundle)?;
            Classifier::with_limit(&bundle, owned.workspace.borrow_mut().as_mut_slice(), LIMIT_MACS)
        });
        cell.map(Self)
    }

    fn bundle(&self) -> &Bundle<'_> {
        self.0.borrow_dependent().bundle()
    }

    fn with<T>(&mut self, call: impl FnOnce(&mut Classifier<'_, '_>) -> T) -> T {
        self.0.with_dependent_mut(|_, classifier| call(classifier))
    }

    /// Numbers of a signal.
    pub(crate) fn numbers(&self) -> usize {
        self.bundle().config().extents.positions() * self.bundle().config().channels
    }

    /// What the page has to know, as JSON. Numbers are integers, because printing others takes 15 KB of code.
    pub(crate) fn describe(&self) -> String {
        let (bundle, header) = (self.bundle(), self.bundle().header());
        let config = bundle.config();
        let mut json = String::new();
        let sides = config.extents.sides().iter().map(usize::to_string).collect::<Vec<_>>();
        let labels = header.labels().map(quoted).collect::<Vec<_>>();
        let accuracy = header.facts.accuracy.map_or(0, |share| (share * 1e4 + 0.5) as u32);
        let (sample, isa) = (header.input.sample.name(), self.0.borrow_dependent().isa().name());
        // Writing to a `String` cannot fail.
        let _ = write!(
            json,
            r#"{{"sides":[{}],"channels":{},"classes":{},"steps":{},"labels":[{}],"sample":"{sample}","golden":{},"bytes":{},"workspace":{},"macs":{},"data":{},"basisPoints":{accuracy},"isa":"{isa}"}}"#,
            sides.join(","),
            config.channels,
            config.classes,
            config.inner_steps,
            labels.join(","),
            header.golden_samples,
            bundle.bytes(),
            size_of::<f32>() * workspace_len(config),
            bundle.macs(),
            quoted(header.facts.data_set),
        );
        json
    }

    pub(crate) fn golden(&self, index: usize, output: &mut Vec<f32>) -> usize {
        let sample: SampleType = self.bundle().header().input.sample;
        let Some(golden) = self.bundle().golden_samples().nth(index) else { return 0 };
        let numbers = Numbers::Encoded(sample, golden.signal);
        *output = (0..numbers.len()).map(|i| numbers.get(i)).collect();
        output.len()
    }

    pub(crate) fn begin(&mut self) {
        self.with(|classifier| classifier.begin());
    }

    pub(crate) fn step(&mut self, input: &[f32]) -> Result<bool, Error> {
        self.with(|classifier| Ok(classifier.step(&signal(classifier, input)?)?.is_some()))
    }

    pub(crate) fn logits(&mut self, output: &mut Vec<f32>) -> Result<usize, Error> {
        self.with(|classifier| {
            *output = classifier.logits()?.to_vec();
            Ok(output.len())
        })
    }

    pub(crate) fn psnr(&mut self, input: &[f32]) -> Result<f32, Error> {
        self.with(|classifier| Ok(classifier.quality(&signal(classifier, input)?)?.psnr))
    }

    pub(crate) fn reconstruct(
        &mut self,
        scale: usize,
        output: &mut Vec<f32>,
    ) -> Result<usize, Error> {
        self.with(|classifier| {
            let config = *classifier.config();
            let sides: Vec<_> =
                config.extents.sides().iter().map(|side| side.saturating_mul(scale)).collect();
            let extents = Extents::new(&sides).filter(Extents::within_limits);
            let extents = extents.ok_or(Error::OutputLength)?;
            *output = vec![0.0; extents.positions() * config.channels];
            classifier.reconstruct(extents, output)?;
            Ok(output.len())
        })
    }

    pub(crate) fn self_test(&mut self, output: &mut Vec<f32>) -> Result<i32, Error> {
        self.with(|classifier| {
            let test = classifier.self_test()?;
            *output = vec![test.max_error];
            Ok(test.samples as i32)
        })
    }
}

/// The numbers as a signal of the classifier's model.
fn signal<'a>(classifier: &Classifier<'_, '_>, numbers: &'a [f32]) -> Result<Signal<'a>, Error> {
    let config = classifier.config();
    Signal::new(numbers, config.extents, config.channels)
}

/// Text as JSON has it.
fn quoted(text: &str) -> String {
    let mut json = String::from('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => json.extend(['\\', character]),
            // The only others that JSON does not take as they are.
            ..' ' => {
                let _ = write!(json, "\\u{:04x}", u32::from(character));
            }
            _ => json.push(character),
        }
    }
    json.push('"');
    json
}
