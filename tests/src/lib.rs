//! Golden vectors for the tests of the workspace.

pub mod train;
// What each kernel gives, on a board and on the host.
#[path = "../../firmware-example/src/kernels.rs"]
pub mod kernels;
// The ring of readings that the firmware fills, on the host.
#[path = "../../firmware-example/src/window.rs"]
pub mod window;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use mwt_core::{Draw, Extents, ModelConfig};
use mwt_infer::{Numbers, Scattered};
use mwt_train::weights::exchange;
use mwt_train::weights::{Array, Weights};

/// Golden vectors of one configuration; `tests/fixtures/README.md` explains the keys.
pub struct Golden {
    /// The model.
    pub config: ModelConfig,
    /// Its values.
    pub weights: Weights,
    /// Images, coordinates.
    inputs: BTreeMap<String, Array>,
    expect: BTreeMap<String, Array>,
    /// `[outer step, k+1, 4, P]`.
    pub indices: Vec<u32>,
    /// `[4]`.
    pub labels: Vec<usize>,
}

/// Images of each golden configuration.
pub const IMAGES: usize = 4;

/// A file of the repository's fixtures, which MWT_FIXTURES names where the tests run elsewhere than they were built.
pub fn fixture(name: &str) -> PathBuf {
    let here = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    std::env::var_os("MWT_FIXTURES").map_or_else(here, PathBuf::from).join(name)
}

/// The folder with the full golden set, where there is one.
pub fn golden_dir() -> Option<PathBuf> {
    let dir = PathBuf::from(std::env::var_os("MWT_GOLDEN_DIR")?);
    assert!(dir.is_dir(), "MWT_GOLDEN_DIR names no folder: {}", dir.display());
    Some(dir)
}

/// Says that a test was skipped for want of something.
pub fn skipped(test: &str, want: &str) {
    eprintln!("skipped {test}: needs {want}");
}

/// The golden vectors of `nano`, `micro`, `line` or `cube` from the fixtures.
pub fn golden(name: &str) -> Golden {
    load(name, &fixture(""), "")
}

/// The golden vectors of `name` from the full set, where there is one.
pub fn full_golden(name: &str) -> Option<Golden> {
    Some(load(name, &golden_dir()?, "f64."))
}

/// A preset; `line` is `nano` in two steps on a series of three channels, `cube` on a volume.
fn config(name: &str) -> ModelConfig {
    let nano = ModelConfig::NANO;
    match name {
        "line" => ModelConfig {
            extents: Extents::series(40),
            channels: 3,
            pixels_per_step: 20,
            inner_steps: 2,
            ..nano
        },
        "cube" => ModelConfig { extents: Extents::volume(5, 6, 7), pixels_per_step: 105, ..nano },
        _ => ModelConfig::preset(name).expect("a preset's name"),
    }
}

/// Reads golden vectors; `prefix` is that of the expected tensors that are wanted.
fn load(name: &str, dir: &Path, prefix: &str) -> Golden {
    let mut config = config(name);
    // The golden draws come as indices.
    config.draw = Draw::random(0);
    let path = |kind: &str| dir.join(format!("{name}.{kind}.safetensors"));
    let read = |kind: &str| exchange::read(&path(kind)).expect("fixture");
    let bytes = std::fs::read(path("inputs")).expect("fixture");
    let integers = safetensors::SafeTensors::deserialize(&bytes).expect("fixture");
    let integers = |name: &str| integers.tensor(name).expect("fixture").data().to_vec();
    let mut expect = BTreeMap::new();
    for (name, array) in read("expect") {
        if let Some(name) = name.strip_prefix(prefix) {
            expect.insert(name.to_owned(), array);
        }
    }
    Golden {
        config,
        weights: exchange::read_weights(&path("weights"), config).expect("fixture"),
        inputs: read("inputs"),
        expect,
        indices: integers("indices")
            .as_chunks::<4>()
            .0
            .iter()
            .map(|b| u32::from_le_bytes(*b))
            .collect(),
        labels: integers("labels")
            .as_chunks::<8>()
            .0
            .iter()
            .map(|b| i64::from_le_bytes(*b) as usize)
            .collect(),
    }
}

impl Golden {
    /// An expected tensor, flat.
    pub fn expect(&self, name: &str) -> &[f32] {
        &self.expect.get(name).unwrap_or_else(|| panic!("no golden {name}")).values
    }

    /// Whether there is such an expected tensor.
    pub fn has(&self, name: &str) -> bool {
        self.expect.contains_key(name)
    }

    /// One image's part of an expected tensor whose first axis is the image.
    pub fn expect_of(&self, name: &str, image: usize) -> &[f32] {
        let values = self.expect(name);
        let len = values.len() / IMAGES;
        &values[image * len..(image + 1) * len]
    }

    /// All images as [4, H·W, C] values in [-1, 1].
    pub fn images(&self) -> Vec<f32> {
        let (images, pixels) = (&self.inputs["images"].values, self.config.extents.positions());
        let channels = self.config.channels;
        (0..IMAGES * pixels * channels)
            .map(|i| {
                let (image, pixel, c) =
                    (i / channels / pixels, i / channels % pixels, i % channels);
                images[(image * channels + c) * pixels + pixel]
            })
            .collect()
    }

    /// The coordinates of every position, flat.
    pub fn coordinates(&self) -> Vec<f32> {
        self.inputs["coords"].values.clone()
    }

    /// One image's values, `[H·W, C]`: they are no bytes.
    pub fn values(&self, image: usize) -> Vec<f32> {
        let values = self.config.extents.positions() * self.config.channels;
        self.images()[image * values..][..values].to_vec()
    }

    /// Such values at the coordinates of the golden vectors.
    pub fn source<'a>(&'a self, values: &'a [f32]) -> Scattered<'a> {
        let coordinates = &self.inputs["coords"].values;
        let (axes, channels) = (self.config.axes(), self.config.channels);
        Scattered::new(coordinates, axes, Numbers::Scaled(values), channels)
            .expect("the right size")
    }

    /// The pixel indices `[P]` of one image at draw `draw` = 0..=k of outer step `outer`.
    pub fn draw(&self, outer: usize, draw: usize, image: usize) -> &[u32] {
        let ModelConfig { inner_steps: steps, pixels_per_step: p, .. } = self.config;
        let start = ((outer * (steps + 1) + draw) * IMAGES + image) * p;
        &self.indices[start..start + p]
    }

    /// The pixel indices `[k, P]` of one image's inner steps at outer step 0.
    pub fn inner_indices(&self, image: usize) -> Vec<u32> {
        (0..self.config.inner_steps).flat_map(|j| self.draw(0, j, image)).copied().collect()
    }
}

/// Largest distance of two slices of equal length.
pub fn distance(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len(), "lengths differ");
    a.iter()
        .zip(b)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, |m, d| if d > m || d.is_nan() { d } else { m })
}

/// Asserts that two slices are within `tolerance` of each other everywhere.
#[track_caller]
pub fn assert_close(what: &str, got: &[f32], want: &[f32], tolerance: f32) {
    let d = distance(got, want);
    assert!(d <= tolerance, "{what}: {d:e} apart, allowed {tolerance:e}");
}

/// The examples of the guide, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../docs/EMBEDDED.md")]
struct FirmwareGuide;

/// The README's example.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
