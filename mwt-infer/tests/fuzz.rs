//! The fuzz targets without a fuzzer: the corpus, and a bounded number of mutations of it, the same on every run.
//!
//! `fuzz/README.md` says how to fuzz in earnest.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use mwt_core::bundle::{Facts, Golden, Header, Input, write};
use mwt_core::draw::mix;
use mwt_core::quant::Scheme;
use mwt_core::{Bundle, Draw, Extents, ModelConfig, Schemes};

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
    let whole: Vec<_> = corpus.iter().filter(|input| run(input) > 0).collect();
    let mut through = whole.len();
    let mut random = 0u32;
    let mut next = move |below: usize| {
        random = mix(random.wrapping_add(0x9e37_79b9));
        random as usize % below
    };
    for _ in 0..MUTATIONS {
        let from = next(2 * whole.len() + corpus.len());
        let mut input = whole
            .get(from / 2)
            .map_or_else(|| &corpus[from - 2 * whole.len()], |input| *input)
            .clone();
        for _ in 0..1 + next(4) {
            // Half of the changes go to the header.
            let reach = if next(2) == 0 { input.len().min(100) } else { input.len() };
            let place = next(reach.max(1));
            match next(4) {
                0 if !input.is_empty() => input[place] = next(256) as u8,
                1 if !input.is_empty() => input[place] ^= 1 << next(8),
                2 => input.insert(place, [0, 1, 0x7f, 0x80, 0xff][next(5)]),
                _ => input.truncate(input.len() - next(2 * 12).min(input.len())),
            }
        }
        through += run(&input).min(1);
    }
    through
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
