//! The bundle format: what is written is read back, and nothing else is.

use mwt_core::bundle::{Facts, Golden, Header, MAGIC, write};
use mwt_core::grid::InputScaling;
use mwt_core::layout::{Tensor, tensors};
use mwt_core::quant::Scheme;
use mwt_core::{Bundle, ConfigError, Draw, Error, ImageSize, ModelConfig, Schemes};
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
        input: InputScaling::SYMMETRIC,
        labels,
        golden_samples: 0,
        facts: Facts { data_set: "test", accuracy: Some(0.5), ..Facts::default() },
    }
}

fn golden(config: &ModelConfig) -> Vec<Golden> {
    let bytes = config.image.pixels() * config.channels;
    let sample = |n: usize| Golden {
        image: (0..bytes).map(|i| (i * n) as u8).collect(),
        logits: (0..config.classes).map(|i| (i * n) as f32).collect(),
    };
    vec![sample(1), sample(2)]
}

fn bundle(config: ModelConfig, schemes: Schemes) -> Vec<u8> {
    let labels = labels(&config);
    write(&header(config, schemes, &labels), &golden(&config), |t| values(&config, t)).unwrap()
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
    let mut bytes = nano();
    assert!(Bundle::parse(&bytes).is_ok());
    for bit in 0..8 * bytes.len() {
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(Bundle::parse(&bytes).is_err(), "bit {bit}");
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
    assert!(Bundle::parse(&bytes).is_ok());
    println!("{} bits flipped", 8 * bytes.len());
}

#[test]
fn every_truncation_and_extension_is_refused() {
    let mut bytes = nano();
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

/// With the checksum made right, each kind of wrong header has its own error.
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
    assert_eq!(parse(&|b| b[8] = 2), Error::Version { found: 2 });
    assert_eq!(parse(&|b| b[10] = 1), Error::Version { found: 1 });
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
    use ConfigError::*;
    let fields = [
        (16, Dim),
        (2, HiddenLayers),
        (3, InnerSteps),
        (2, Blocks),
        (1, MlpMult),
        (1, Channels),
        (10, Classes),
        (8, ImageSize),
        (8, ImageSize),
        (64, PixelsPerStep),
    ];
    for (n, (value, error)) in fields.into_iter().enumerate() {
        let place = 24 + n;
        assert_eq!(nano()[place], value, "{error:?}");
        let huge = [0xff, 0xff, 0xff, 0xff, 0x0f];
        let refused = Bundle::parse(&with_header_byte(place, &huge)).map(|_| ());
        assert_eq!(refused, Err(Error::Config(error)), "{error:?}");
        // 64 bits, where a target has them, and more than any has.
        for huge in [&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01][..], &[0xff; 11]]
        {
            let refused = Bundle::parse(&with_header_byte(place, huge)).map(|_| ());
            assert!(
                matches!(refused, Err(Error::Config(e)) if e == error)
                    || refused == Err(Error::Header),
                "{error:?}: {refused:?}"
            );
        }
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
    let mut samples = golden(&config);
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
        let input = InputScaling { scale, offset };
        assert_eq!(write(Header { input, ..base }), Error::InputScaling);
    }
    let config = ModelConfig { inner_steps: 0, ..config };
    assert_eq!(write(Header { config, ..base }), Error::Config(ConfigError::InnerSteps));
}

/// The reader makes no demands on alignment.
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
    std::fs::write(fixture(&name), nano()).unwrap();
}

/// Bundles of every format version load for ever.
#[test]
fn old_bundles_load() {
    for version in 1..=mwt_core::bundle::VERSION {
        let bytes = std::fs::read(fixture(&format!("format-v{version}.mwt"))).unwrap();
        assert_eq!((&bytes[..8], &bytes[8..10]), (&MAGIC[..], &version.to_le_bytes()[..]));
        let bundle = Bundle::parse(&bytes).unwrap();
        assert_eq!(bundle.config(), &ModelConfig::NANO, "version {version}");
        assert_eq!(from_bundle(&bundle), from_bundle(&Bundle::parse(&nano()).unwrap()));
        // Of the newest one, the same bytes are still written.
        assert!(version < mwt_core::bundle::VERSION || bytes == nano());
    }
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
    for (got, want) in parsed.golden_samples().zip(golden(&config)) {
        assert_eq!(got.image, want.image);
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
        sizes in (1usize..=3, 1usize..=5, 1usize..=3, 1usize..=3, 1usize..=4, 2usize..=20),
        image in (1usize..=9, 1usize..=9),
        shared_alpha: bool,
        seed: u32,
        schemes in (scheme(), scheme(), scheme(), scheme()),
    ) {
        let (hidden_layers, steps, blocks, mlp_mult, channels, classes) = sizes;
        let image = ImageSize { height: image.0, width: image.1 };
        let config = ModelConfig {
            dim: width, hidden_layers, inner_steps: steps, blocks, mlp_mult, channels, classes, image,
            pixels_per_step: 1 + seed as usize % image.pixels(),
            omega: 30.0,
            lambda: 500.0,
            shared_alpha,
            draw: if seed % 2 == 0 { Draw::random(seed) } else { Draw::partition(seed) },
        };
        let (theta, alpha, beta, transformer) = schemes;
        check_round_trip(config, Schemes { theta, alpha, beta, transformer });
    }

    /// Whatever the bytes are, the reader answers; with a right prefix and checksum it gets to see them all.
    #[test]
    fn any_header_is_answered(
        changes in prop::collection::vec((0usize..120, any::<u8>()), 1..8),
    ) {
        let mut bytes = nano();
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
