//! The fuzz targets without a fuzzer: the corpus, and a bounded number of mutations of it, the same on every run.
//!
//! `fuzz/README.md` says how to fuzz in earnest.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use mwt_core::bundle::{Facts, Golden, Header, Input, write};
use mwt_core::draw::mix;
use mwt_core::quant::Scheme;
use mwt_core::{Bundle, Draw, Extents, ModelConfig, Schemes};
use mwt_infer::{Classifier, Numbers, Signal};

#[path = "../../fuzz/src/lib.rs"]
#[allow(unreachable_pub)]
mod targets;

/// Mutations of each target; a fuzzer's own runs are counted in `docs/RELIABILITY.md`.
const MUTATIONS: u32 = 20_000;

fn corpus(target: &str) -> BTreeMap<PathBuf, Vec<u8>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let files = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    files.map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

/// Replays a target's corpus, then mutations of it. Gives how many inputs got through to the target's end.
fn replay(target: &str, run: fn(&[u8]) -> usize) -> usize {
    let corpus: Vec<_> = corpus(target).into_values().collect();
    // Those that get through are what mutations of get through.
    let whole: Vec<_> = corpus.iter().filter(|input| run(input) > 0).cloned().collect();
    let mutations = Mutations::new(&corpus, &whole);
    whole.len() + mutations.take(MUTATIONS as usize).map(|input| run(&input).min(1)).sum::<usize>()
}

/// Mutations of a corpus without end, the same every time.
struct Mutations<'a> {
    corpus: &'a [Vec<u8>],
    whole: &'a [Vec<u8>],
    random: u32,
}

impl<'a> Mutations<'a> {
    /// Of `whole` bundles twice as often as of other inputs.
    const fn new(corpus: &'a [Vec<u8>], whole: &'a [Vec<u8>]) -> Self {
        Self { corpus, whole, random: 0 }
    }

    fn below(&mut self, end: usize) -> usize {
        self.random = mix(self.random.wrapping_add(0x9e37_79b9));
        self.random as usize % end
    }
}

impl Iterator for Mutations<'_> {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let from = self.below(2 * self.whole.len() + self.corpus.len());
        let other = from.saturating_sub(2 * self.whole.len());
        let mut input = self.whole.get(from / 2).or_else(|| self.corpus.get(other))?.clone();
        for _ in 0..1 + self.below(4) {
            // Half of the changes go to the header.
            let reach = if self.below(2) == 0 { input.len().min(100) } else { input.len() };
            let place = self.below(reach.max(1));
            match self.below(4) {
                0 if !input.is_empty() => input[place] = self.below(256) as u8,
                1 if !input.is_empty() => input[place] ^= 1 << self.below(8),
                2 => input.insert(place, [0, 1, 0x7f, 0x80, 0xff][self.below(5)]),
                _ => input.truncate(input.len() - self.below(2 * 12).min(input.len())),
            }
        }
        Some(input)
    }
}

#[test]
fn parse_holds_on_the_corpus_and_mutations_of_it() {
    let through = replay("parse", targets::parse);
    println!("{through} inputs were let through");
    assert!(through > MUTATIONS as usize / 40, "only {through}");
}

#[test]
fn classify_holds_on_the_corpus_and_mutations_of_it() {
    let through = replay("classify", targets::classify);
    println!("{through} inputs were classified");
    assert!(through > MUTATIONS as usize / 40, "only {through}");
}

/// Nothing but the file itself is that file: on every target that this test runs on, 32-bit ones included.
#[test]
fn every_flip_and_truncation_of_a_seed_is_refused() {
    for (path, mut bytes) in corpus("parse") {
        if !path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("seed-")) {
            continue;
        }
        assert!(Bundle::parse(&bytes).is_ok());
        for bit in 0..8 * bytes.len() {
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(Bundle::parse(&bytes).is_err(), "{}: bit {bit}", path.display());
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        for len in 0..bytes.len() {
            assert!(Bundle::parse(&bytes[..len]).is_err(), "{}: {len} bytes", path.display());
        }
    }
}

/// Writes mutations of both corpora with the verdict on each, and the logits of what is accepted, for
/// `tools/reference/oracle.py`, which is another reader: `MWT_ORACLE` names the file.
///
/// A record is the length of an input as u32, the input, and the number of its logits as u32 with the logits as f32: 0 for a
/// refused input, `u32::MAX` for one that is accepted and not classified.
#[test]
#[ignore = "writes what another reader is compared with"]
fn write_verdicts() {
    /// Accepted and classified inputs to write; as many refused ones at most.
    const CLASSIFIED: usize = 10_000;
    const LARGEST_WORK: u64 = 1 << 18;
    let inputs: Vec<_> =
        ["parse", "classify"].into_iter().flat_map(corpus).map(|(_, i)| i).collect();
    let whole: Vec<_> = inputs.iter().filter(|i| targets::parse(i) > 0).cloned().collect();
    let (mut records, mut classified, mut refused) = (Vec::new(), 0, 0);
    for input in Mutations::new(&inputs, &whole) {
        if classified == CLASSIFIED {
            break;
        }
        let Some(input) = targets::seal(&input) else { continue };
        let verdict = Bundle::parse(&input);
        let logits = verdict.as_ref().ok().filter(|b| b.macs() <= LARGEST_WORK).and_then(logits);
        let count = match (&verdict, &logits) {
            (_, Some(logits)) => logits.len() as u32,
            (Ok(_), None) => u32::MAX,
            (Err(_), None) => 0,
        };
        classified += usize::from(logits.is_some());
        refused += usize::from(verdict.is_err());
        if verdict.is_err() && refused > CLASSIFIED {
            continue;
        }
        records.extend((input.len() as u32).to_le_bytes());
        records.extend(input);
        records.extend(count.to_le_bytes());
        records.extend(logits.iter().flatten().flat_map(|logit| logit.to_le_bytes()));
    }
    let path = std::env::var_os("MWT_ORACLE").expect("MWT_ORACLE names a file");
    std::fs::write(path, records).unwrap();
    println!("{classified} classified, {refused} refused");
}

/// The logits of a signal that both readers make: of numbers that follow from their place.
fn logits(bundle: &Bundle<'_>) -> Option<Vec<f32>> {
    let config = bundle.config();
    let count = config.extents.positions() * config.channels;
    let numbers: Vec<f32> = (0..count).map(|i| ((37 * i + 11) % 256) as f32).collect();
    let signal = Signal::new(Numbers::F32(&numbers), config.extents, config.channels).ok()?;
    let mut workspace = vec![0.0; mwt_infer::workspace_len(config)];
    let mut classifier = Classifier::new(bundle, &mut workspace).ok()?;
    classifier.fit(&signal).ok()?;
    classifier.logits().ok().map(<[f32]>::to_vec)
}

/// Writes the bundles that fuzzing starts from; run by name when the format changes.
#[test]
#[ignore = "writes the corpus"]
fn write_seeds() {
    let tiny = ModelConfig {
        dim: 8,
        hidden_layers: 1,
        inner_steps: 1,
        blocks: 1,
        classes: 2,
        extents: Extents::image(2, 3),
        pixels_per_step: 3,
        ..ModelConfig::NANO
    };
    let mixed = Schemes { theta: Scheme::F32, alpha: Scheme::F16, ..Schemes::default() };
    let seeds = [
        ("int8", tiny, Schemes::default(), 0),
        ("f16", tiny, Schemes::all(Scheme::F16), 1),
        ("f32", ModelConfig { draw: Draw::random(1), ..tiny }, Schemes::all(Scheme::F32), 0),
        (
            "colour",
            ModelConfig { channels: 3, inner_steps: 3, shared_alpha: true, ..tiny },
            mixed,
            2,
        ),
        ("two", ModelConfig { hidden_layers: 2, inner_steps: 2, blocks: 2, ..tiny }, mixed, 0),
    ];
    let series = ModelConfig {
        extents: Extents::series(7),
        channels: 5,
        pixels_per_step: 4,
        draw: Draw::stratified(1, Extents::series(2)),
        ..tiny
    };
    let volume = ModelConfig { extents: Extents::volume(2, 3, 2), pixels_per_step: 5, ..tiny };
    // These are of format version 2.
    let newer = [("series", series, Schemes::default(), 0), ("volume", volume, mixed, 1)];
    for (name, config, schemes, samples) in seeds.into_iter().chain(newer) {
        let labels = (0..config.classes).map(|n| n.to_string()).collect::<Vec<_>>().join("\n");
        let header = Header {
            config,
            schemes,
            input: Input::PICTURE,
            labels: &labels,
            golden_samples: 0,
            facts: Facts { accuracy: Some(0.5), ..Facts::default() },
        };
        let signal = vec![7; config.extents.positions() * config.channels];
        let golden = vec![Golden { signal, logits: vec![0.5; config.classes] }; samples];
        let mut random = 0;
        let value = |_| {
            random = mix(random + 1);
            0.25 * (random as i32) as f32 / 2f32.powi(31)
        };
        let mut value = value;
        let bytes =
            write(&header, &golden, |t| (0..t.shape(&config).values()).map(&mut value).collect());
        let bytes = bytes.unwrap();
        assert!(Bundle::parse(&bytes).is_ok());
        for target in ["parse", "classify"] {
            let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
            std::fs::create_dir_all(&dir).unwrap();
            std::fs::write(dir.join(format!("seed-{name}.mwt")), &bytes).unwrap();
        }
    }
}
