//! The bundle format: what is written is read back, and nothing else is.

use mwt_core::bundle::{Facts, Golden, Header, Input, MAGIC, SampleType, write};
use mwt_core::grid::InputScaling;
use mwt_core::layout::{Tensor, tensors};
use mwt_core::quant::Scheme;
use mwt_core::{Bundle, ConfigError, Draw, Error, Extents, ModelConfig, Schemes};
use mwt_tests::fixture;
use mwt_train::weights::{Weights, from_bundle};
use proptest::prelude::*;

/// Values that differ from tensor to tensor and place to place.
fn values(config: &ModelConfig, tensor: Tensor) -> Vec<f32> {
    let n = tensor.shape(config).values();
    let start = tensors(config).position(|t| t == tensor).unwrap();
    (0..n).map(|i| ((start * 31 + i * 7) % 255) as f32 / 127.0 - 1.0).collect()
}

fn labels(config: &ModelConfig) -> String {
    (0..config.classes).map(|n| format!("class {n}")).collect::<Vec<_>>().join("\n")
}

fn header<'a>(config: ModelConfig, schemes: Schemes, labels: &'a str) -> Header<'a> {
    Header {
        config,
        schemes,
        input: Input::PICTURE,
        labels,
        golden_samples: 0,
        facts: Facts { data_set: "test", accuracy: Some(0.5), ..Facts::default() },
    }
}

fn golden(config: &ModelConfig, sample: SampleType) -> Vec<Golden> {
    let bytes = config.extents.positions() * config.channels * sample.bytes();
    let sample = |n: usize| Golden {
        signal: (0..bytes).map(|i| (i * n) as u8).collect(),
        logits: (0..config.classes).map(|i| (i * n) as f32).collect(),
    };
    vec![sample(1), sample(2)]
}

fn bundle(config: ModelConfig, schemes: Schemes) -> Vec<u8> {
    let labels = labels(&config);
    let golden = golden(&config, SampleType::U8);
    write(&header(config, schemes, &labels), &golden, |t| values(&config, t)).unwrap()
}

/// The scalings of a sensor's two channels.
const SENSOR: [InputScaling; 2] =
    [InputScaling { scale: 0.001, offset: 0.0 }, InputScaling { scale: 0.5, offset: -3.0 }];

/// What only version 2 can say: a series of two channels of 16-bit numbers, drawn in strata.
const SERIES: ModelConfig = ModelConfig {
    extents: Extents::series(30),
    channels: 2,
    pixels_per_step: 10,
    draw: Draw::stratified(7, Extents::series(3)),
    ..ModelConfig::NANO
};

fn series() -> Vec<u8> {
    let (labels, scalings) = (labels(&SERIES), Input::encode(&SENSOR));
    let input = Input::new(SampleType::I16, &scalings);
    let header = Header { input, ..header(SERIES, Schemes::default(), &labels) };
    write(&header, &golden(&SERIES, SampleType::I16), |t| values(&SERIES, t)).unwrap()
}

/// A bundle of each format version.
fn versions() -> [Vec<u8>; 2] {
    [nano(), series()]
}

fn nano() -> Vec<u8> {
    bundle(ModelConfig::NANO, Schemes::default())
}

/// Makes the checksum right again, and the length.
fn seal(bytes: &mut Vec<u8>) {
    bytes.truncate(bytes.len() - 4);
    let len = bytes.len() as u64 + 4;
    bytes[12..20].copy_from_slice(&len.to_le_bytes());
    let crc = crc32(bytes);
    bytes.extend(crc.to_le_bytes());
}

/// CRC-32/ISO-HDLC from its definition, independent of the reader's.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, byte| {
        (0..8)
            .fold(crc ^ u32::from(*byte), |c, _| (c >> 1) ^ (0xedb8_8320 & (c & 1).wrapping_neg()))
    })
}

#[test]
fn every_single_bit_flip_is_refused() {
    for mut bytes in versions() {
        assert!(Bundle::parse(&bytes).is_ok());
        for bit in 0..8 * bytes.len() {
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(Bundle::parse(&bytes).is_err(), "bit {bit}");
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        assert!(Bundle::parse(&bytes).is_ok());
        println!("{} bits flipped", 8 * bytes.len());
    }
}

#[test]
fn every_truncation_and_extension_is_refused() {
    for mut bytes in versions() {
        for len in 0..bytes.len() {
            let error = Bundle::parse(&bytes[..len]).unwrap_err();
            let expected = if len == 0 {
                matches!(error, Error::NotABundle)
            } else {
                matches!(error, Error::Truncated { .. })
            };
            assert!(expected, "{len}: {error:?}");
        }
        bytes.push(0);
        assert!(matches!(Bundle::parse(&bytes), Err(Error::TrailingBytes { .. })));
    }
}

/// With the checksum made right, each kind of wrong header has its own error.
/// What lies in a sector of flash: a bundle, and whatever comes behind it.
#[test]
fn a_bundle_says_how_long_it_is() {
    for bytes in versions() {
        let sector = [&bytes[..], &[0xff; 100]].concat();
        assert_eq!(Bundle::len_from_prefix(&sector), Ok(bytes.len()));
        assert_eq!(Bundle::len_from_prefix(&bytes[..24]), Ok(bytes.len()));
        assert!(Bundle::parse(&sector).is_err());
        let bundle = Bundle::parse(&sector[..bytes.len()]).unwrap();
        assert_eq!(bundle.check_again(), Ok(()));
        let error = Bundle::len_from_prefix(&bytes[..23]);
        assert_eq!(error, Err(Error::Truncated { expected: 24, found: 23 }));
    }
    assert_eq!(Bundle::len_from_prefix(&[0xff; 100]), Err(Error::NotABundle));
    assert_eq!(Bundle::len_from_prefix(&[]), Err(Error::NotABundle));
    let mut newer = nano();
    newer[8] = 99;
    assert_eq!(Bundle::len_from_prefix(&newer), Err(Error::Version { found: 99 }));
}

#[test]
fn hostile_headers_are_refused_by_name() {
    let parse = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = nano();
        change(&mut bytes);
        seal(&mut bytes);
        Bundle::parse(&bytes).unwrap_err()
    };
    assert_eq!(
        Bundle::parse(b"\x89PNG\r\n\x1a\n, then more than enough").unwrap_err(),
        Error::NotABundle
    );
    assert_eq!(parse(&|b| b[8] = 3), Error::Version { found: 3 });
    assert_eq!(parse(&|b| b[8] = 0), Error::Version { found: 0 });
    assert_eq!(parse(&|b| b[10] = 1), Error::Reserved);
    assert_eq!(parse(&|b| b[11] = 0x80), Error::Reserved);
    assert_eq!(parse(&|b| b[20..24].fill(0xff)), Error::Header);
    assert_eq!(parse(&|b| b[20] += 1), Error::HeaderTrailingBytes);
    assert_eq!(parse(&|b| b[20] -= 1), Error::Header);
    // The first byte of the header is D = 16, then L = 2, k = 3, B = 2, …
    assert_eq!(&nano()[24..28], [16, 2, 3, 2]);
    assert_eq!(parse(&|b| b[24] = 17), Error::Config(ConfigError::Dim));
    assert!(matches!(parse(&|b| b[24] = 64), Error::TensorBytes { .. }));
    assert_eq!(parse(&|b| b[25] = 0), Error::Config(ConfigError::HiddenLayers));
    assert_eq!(parse(&|b| b[26] = 100), Error::Config(ConfigError::InnerSteps));
    assert!(matches!(parse(&|b| b[26] = 4), Error::TensorBytes { .. }));
    let tensors_end = |b: &mut Vec<u8>| {
        b.truncate(b.len() - 1);
    };
    assert!(matches!(parse(&tensors_end), Error::TensorBytes { .. }));
    assert!(matches!(parse(&|b| b.extend([0; 9])), Error::TensorBytes { .. }));
}

/// The nano bundle with one byte of its header replaced by others, sealed.
fn with_header_byte(place: usize, bytes: &[u8]) -> Vec<u8> {
    let mut changed = nano();
    changed.splice(place..=place, bytes.iter().copied());
    let header_len = u32::from_le_bytes(changed[20..24].try_into().unwrap()) as usize;
    let len = (header_len + bytes.len() - 1) as u32;
    changed[20..24].copy_from_slice(&len.to_le_bytes());
    seal(&mut changed);
    changed
}

/// A huge size neither overflows nor allocates, and each has its own error.
#[test]
fn huge_sizes_are_refused_by_name() {
    use ConfigError::{
        Blocks, Channels, Classes, Dim, Extents, HiddenLayers, InnerSteps, MlpMult, PixelsPerStep,
    };
    let fields = [
        (16, Dim),
        (2, HiddenLayers),
        (3, InnerSteps),
        (2, Blocks),
        (1, MlpMult),
        (1, Channels),
        (10, Classes),
        (8, Extents),
        (8, Extents),
        (64, PixelsPerStep),
    ];
    for (n, (value, error)) in fields.into_iter().enumerate() {
        let place = 24 + n;
        assert_eq!(nano()[place], value, "{error:?}");
        let huge = [0xff, 0xff, 0xff, 0xff, 0x0f];
        let refused = Bundle::parse(&with_header_byte(place, &huge)).map(|_| ());
        assert_eq!(refused, Err(Error::Config(error)), "{error:?}");
        // More than 32 bits, which no target takes.
        for huge in [&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01][..], &[0xff; 11]]
        {
            let refused = Bundle::parse(&with_header_byte(place, huge)).map(|_| ());
            assert_eq!(refused, Err(Error::Header), "{error:?}");
        }
        // The same number with a group of zeros behind it: on every target there is one encoding of a file.
        let padded = [value | 0x80, 0];
        let refused = Bundle::parse(&with_header_byte(place, &padded)).map(|_| ());
        assert_eq!(refused, Err(Error::Header), "{error:?}");
    }
    // The largest of everything within the limits: counted in 64 bits, and not there.
    let large = [0x80, 0x08, 16, 64, 64, 8, 4];
    let mut bytes = nano();
    bytes.splice(24..30, large);
    let header_len = u32::from_le_bytes(bytes[20..24].try_into().unwrap()) + 1;
    bytes[20..24].copy_from_slice(&header_len.to_le_bytes());
    seal(&mut bytes);
    let Err(Error::TensorBytes { expected, .. }) = Bundle::parse(&bytes) else { panic!("refused") };
    assert!(expected > 1 << 30, "{expected}");
}

/// What the fields behind the sizes may not say.
#[test]
fn hostile_fields_are_refused_by_name() {
    let parse = |place: usize, bytes: &[u8]| {
        let mut changed = nano();
        changed[place..place + bytes.len()].copy_from_slice(bytes);
        seal(&mut changed);
        Bundle::parse(&changed).map(|_| ()).unwrap_err()
    };
    // ω, λ, shared_alpha, draw, schemes, input scaling, labels, golden samples follow the ten sizes.
    assert_eq!(nano()[34..38], 10f32.to_le_bytes());
    for bad in [f32::NAN, f32::INFINITY, -1.0, 0.0] {
        assert_eq!(parse(34, &bad.to_le_bytes()), Error::Config(ConfigError::Omega));
        assert_eq!(parse(38, &bad.to_le_bytes()), Error::Config(ConfigError::Lambda));
        assert_eq!(parse(49, &bad.to_le_bytes()), Error::InputScaling);
    }
    assert_eq!(parse(53, &f32::NAN.to_le_bytes()), Error::InputScaling);
    // Finite alone, but not times the largest byte.
    assert_eq!(parse(49, &1.4e36f32.to_le_bytes()), Error::InputScaling);
    assert_eq!(parse(42, &[2]), Error::Header, "a bool is 0 or 1");
    assert_eq!(parse(43, &[7]), Error::Header, "no such draw");
    for scheme in 45..49 {
        assert_eq!(parse(scheme, &[3]), Error::Header, "no such scheme");
    }
    let labels = labels(&ModelConfig::NANO);
    assert_eq!(&nano()[57..59], [labels.len() as u8, b'c']);
    assert_eq!(parse(58, &[0xff]), Error::Header, "not UTF-8");
    assert_eq!(parse(58, b"\n"), Error::Labels);
    assert_eq!(parse(30, &[11]), Error::Labels);
    let samples = 58 + labels.len();
    assert_eq!(nano()[samples], 2);
    assert!(matches!(parse(samples, &[1]), Error::TensorBytes { .. }));
    assert!(matches!(parse(samples, &[255]), Error::TensorBytes { .. }));
    // Of the facts, the accuracy is the last but one: what no share can be.
    let accuracy = nano().windows(5).position(|w| w == [1, 0, 0, 0, 0x3f]).unwrap() + 1;
    for bad in [f32::NAN, 1.5, -0.5] {
        assert_eq!(parse(accuracy, &bad.to_le_bytes()), Error::Facts);
    }
    // A text that goes on past the header's end.
    assert_eq!(parse(57, &[0x7f]), Error::Header);
    // The first int8 scales of the file are those of W_1: behind W_0 and b_0.
    let header_len = u32::from_le_bytes(nano()[20..24].try_into().unwrap()) as usize;
    let scale = 24 + header_len + 4 * 3 * 16;
    assert_eq!(parse(scale, &f32::NAN.to_le_bytes()), Error::NonFinite);
    assert_eq!(parse(scale, &f32::MAX.to_le_bytes()), Error::NonFinite);
    assert_eq!(parse(scale, &(-1f32).to_le_bytes()), Error::NegativeScale);
    assert_eq!(parse(scale + 4 * 16, &[0x80]), Error::NotSymmetric);
}

/// What version 2 adds.
#[test]
fn hostile_fields_of_version_2_are_refused_by_name() {
    let good = series();
    let parse = |place: usize, bytes: &[u8]| {
        let mut changed = good.clone();
        changed[place..place + bytes.len()].copy_from_slice(bytes);
        seal(&mut changed);
        Bundle::parse(&changed).map(|_| ()).unwrap_err()
    };
    // Seven sizes, then the number of axes and the sides, P, ω, λ, shared_alpha, draw and cell, schemes.
    assert_eq!(good[31..34], [1, 30, 10]);
    assert_eq!(good[42..46], [0, 2, 3, 7]);
    for axes in [0, 4, 0x7f] {
        assert_eq!(parse(31, &[axes]), Error::Header, "{axes} axes");
    }
    assert_eq!(parse(32, &[0]), Error::Config(ConfigError::Extents));
    // More channels than there are scalings for.
    assert_eq!(parse(29, &[17]), Error::Header);
    assert_eq!(parse(33, &[9]), Error::Config(ConfigError::Cell));
    for cell in [0, 2] {
        assert_eq!(parse(44, &[cell]), Error::Config(ConfigError::Cell), "{cell}");
    }
    assert_eq!(parse(43, &[3]), Error::Header, "no such draw");
    assert_eq!(good[50], 1, "16-bit numbers");
    assert_eq!(parse(50, &[3]), Error::Header, "no such type");
    for channel in [51, 59] {
        for bad in [0.0, -1.0, f32::NAN, f32::INFINITY, f32::MAX / 32_000.0] {
            assert_eq!(parse(channel, &bad.to_le_bytes()), Error::InputScaling, "{bad}");
        }
    }
    // As version 1 these bytes are another file.
    let mut older = good.clone();
    older[8] = 1;
    seal(&mut older);
    assert!(Bundle::parse(&older).is_err());
}

/// A device that was not updated reads every model that it could run.
#[test]
fn the_lowest_version_that_can_hold_a_model_is_written() {
    let version = |config| Bundle::parse(&bundle(config, Schemes::default())).unwrap().version();
    let nano = ModelConfig::NANO;
    assert_eq!(version(nano), 1);
    assert_eq!(version(ModelConfig { channels: 4, ..nano }), 1);
    for newer in [
        ModelConfig { channels: 5, ..nano },
        ModelConfig { extents: Extents::series(64), ..nano },
        ModelConfig { extents: Extents::image(1, 5000), ..nano },
        ModelConfig { extents: Extents::volume(4, 4, 4), ..nano },
        ModelConfig {
            draw: Draw::stratified(0, Extents::image(2, 2)),
            pixels_per_step: 16,
            ..nano
        },
    ] {
        assert_eq!(version(newer), 2, "{newer:?}");
    }
    // Version 1 cannot say what version 2 can, even where its bytes could.
    let mut bytes = bundle(ModelConfig { channels: 4, ..nano }, Schemes::default());
    bytes[29] = 5;
    seal(&mut bytes);
    assert_eq!(Bundle::parse(&bytes).unwrap_err(), Error::Config(ConfigError::Channels));
}

#[test]
fn values_that_are_not_finite_are_refused() {
    for scheme in [Scheme::Int8, Scheme::F16, Scheme::F32] {
        let config = ModelConfig::NANO;
        let labels = labels(&config);
        for tensor in tensors(&config) {
            let broken = write(&header(config, Schemes::all(scheme), &labels), &[], |t| {
                let mut values = values(&config, t);
                if t == tensor {
                    values[0] = f32::NAN;
                }
                values
            });
            assert_eq!(broken, Err(Error::NonFinite), "{tensor:?} as {scheme:?}");
        }
    }
    let config = ModelConfig::NANO;
    let labels = labels(&config);
    let mut samples = golden(&config, SampleType::U8);
    samples[1].logits[3] = f32::INFINITY;
    let header = header(config, Schemes::default(), &labels);
    assert_eq!(write(&header, &samples, |t| values(&config, t)), Err(Error::NonFinite));
}

#[test]
fn wrong_facts_are_refused() {
    let config = ModelConfig::NANO;
    let good = labels(&config);
    let write =
        |header: Header<'_>| write(&header, &[], |t| values(&header.config, t)).unwrap_err();
    let base = header(config, Schemes::default(), &good);
    assert_eq!(write(Header { labels: "one\ntwo", ..base }), Error::Labels);
    for (scale, offset) in [(0.0, 0.0), (-1.0, 0.0), (f32::NAN, 0.0), (1.0, f32::INFINITY)] {
        let scaling = Input::encode(&[InputScaling { scale, offset }]);
        let input = Input::new(SampleType::U8, &scaling);
        assert_eq!(write(Header { input, ..base }), Error::InputScaling);
    }
    // Two scalings for one channel.
    let scaling = Input::encode(&SENSOR);
    let input = Input::new(SampleType::U8, &scaling);
    assert_eq!(write(Header { input, ..base }), Error::InputScaling);
    let config = ModelConfig { inner_steps: 0, ..config };
    assert_eq!(write(Header { config, ..base }), Error::Config(ConfigError::InnerSteps));
}

/// The reader makes no demands on alignment.
#[test]
fn a_label_is_found_by_its_number() {
    let header =
        header(ModelConfig { classes: 3, ..ModelConfig::NANO }, Schemes::default(), "ä\n\nlast");
    assert_eq!(
        [0, 1, 2, 3, usize::MAX].map(|class| header.label(class)),
        ["ä", "", "last", "", ""]
    );
    assert!(header.labels().eq([0, 1, 2].map(|class| header.label(class))));
}

#[test]
fn any_address_will_do() {
    let bytes = nano();
    let mut room = vec![0; bytes.len() + 8];
    let want = from_bundle(&Bundle::parse(&bytes).unwrap());
    for shift in 0..8 {
        room[shift..shift + bytes.len()].copy_from_slice(&bytes);
        let bundle = Bundle::parse(&room[shift..shift + bytes.len()]).unwrap();
        assert_eq!(from_bundle(&bundle), want);
    }
}

/// Writes the fixture of a new format version; run once, by name, when the version is raised.
#[test]
#[ignore = "writes a fixture"]
fn write_format_fixture() {
    let name = format!("format-v{}.mwt", mwt_core::bundle::VERSION);
    std::fs::write(fixture(&name), series()).unwrap();
}

/// Bundles of every format version load for ever.
#[test]
fn old_bundles_load() {
    for (version, (config, written)) in
        (1u16..).zip([ModelConfig::NANO, SERIES].into_iter().zip(versions()))
    {
        let bytes = std::fs::read(fixture(&format!("format-v{version}.mwt"))).unwrap();
        assert_eq!((&bytes[..8], &bytes[8..10]), (&MAGIC[..], &version.to_le_bytes()[..]));
        let bundle = Bundle::parse(&bytes).unwrap();
        assert_eq!((bundle.config(), bundle.version()), (&config, version));
        // The same bytes are still written.
        assert!(bytes == written, "version {version}");
    }
    let bytes = series();
    let input = Bundle::parse(&bytes).unwrap().header().input;
    assert_eq!(input.sample, SampleType::I16);
    assert_eq!([0, 1].map(|channel| input.scaling(channel)), SENSOR);
}

/// The values that a bundle gives back for a tensor of its own.
fn check_round_trip(config: ModelConfig, schemes: Schemes) {
    let bytes = bundle(config, schemes);
    let parsed = Bundle::parse(&bytes).unwrap();
    assert_eq!(parsed.config(), &config);
    assert_eq!(parsed.header().labels().count(), config.classes);
    let read: Weights = from_bundle(&parsed);
    for tensor in tensors(&config) {
        let (want, got) = (values(&config, tensor), read.bundle_tensor(tensor));
        let tolerance = match tensor.scheme(&config, &schemes) {
            Scheme::F32 => 0.0,
            Scheme::F16 => 5e-4,
            Scheme::Int8 => 0.5001 * 1.01 / 127.0,
        };
        mwt_tests::assert_close(&format!("{tensor:?}"), &got, &want, tolerance);
    }
    for (got, want) in parsed.golden_samples().zip(golden(&config, SampleType::U8)) {
        assert_eq!(got.signal, want.signal);
        assert!(got.logits.iter().eq(want.logits));
    }
    assert_eq!(parsed.golden_samples().len(), 2);
}

fn scheme() -> impl Strategy<Value = Scheme> {
    prop_oneof![Just(Scheme::Int8), Just(Scheme::F16), Just(Scheme::F32)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Every configuration within the limits survives writing and reading.
    #[test]
    fn configurations_round_trip(
        width in (1usize..=8).prop_map(|n| 8 * n),
        sizes in (1usize..=3, 1usize..=5, 1usize..=3, 1usize..=3, 1usize..=16, 2usize..=20),
        sides in prop::collection::vec(1usize..=9, 1..=3),
        cell in prop::collection::vec(1usize..=4, 3),
        shared_alpha: bool,
        seed: u32,
        schemes in (scheme(), scheme(), scheme(), scheme()),
    ) {
        let (hidden_layers, steps, blocks, mlp_mult, channels, classes) = sizes;
        let extents = Extents::new(&sides).unwrap();
        let cell = Extents::new(&cell[..sides.len()]).unwrap();
        let (draw, pixels_per_step) = match seed % 3 {
            0 => (Draw::random(seed), 1 + seed as usize % extents.positions()),
            1 => (Draw::partition(seed), 1 + seed as usize % extents.positions()),
            _ => (Draw::stratified(seed, cell), extents.cells(cell).unwrap().positions()),
        };
        let config = ModelConfig {
            dim: width, hidden_layers, inner_steps: steps, blocks, mlp_mult, channels, classes,
            extents,
            pixels_per_step,
            omega: 30.0,
            lambda: 500.0,
            shared_alpha,
            draw,
        };
        let (theta, alpha, beta, transformer) = schemes;
        check_round_trip(config, Schemes { theta, alpha, beta, transformer });
    }

    /// Whatever the bytes are, the reader answers; with a right prefix and checksum it gets to see them all.
    #[test]
    fn any_header_is_answered(
        changes in prop::collection::vec((0usize..120, any::<u8>()), 1..8),
        newer: bool,
    ) {
        let mut bytes = if newer { series() } else { nano() };
        for (place, value) in changes {
            bytes[20 + place] = value;
        }
        seal(&mut bytes);
        if let Ok(bundle) = Bundle::parse(&bytes) {
            // Accepted: then it is consistent.
            prop_assert!(bundle.config().check().is_ok());
            let _ = from_bundle(&bundle);
        }
    }
}
