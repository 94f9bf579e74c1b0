//! Tests of the reader of NumPy's archives.

use std::io::Write;

use tempfile::TempDir;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::super::npy;
use super::*;

fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn counting(shape: &str, count: usize) -> Vec<u8> {
    npy::bytes("<f4", false, shape, &floats(&(0..count).map(|n| n as f32).collect::<Vec<_>>()))
}

/// Two training series and one to test on, of two channels and three samples.
fn arrays() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("X_train", counting("(2, 2, 3)", 12)),
        ("y_train", npy::bytes("|i1", false, "(2,)", &[7, 254])),
        ("X_test", npy::bytes("<f8", false, "(1, 2, 3)", &[0; 48])),
        ("y_test", npy::bytes("<f8", false, "(1,)", &7.0f64.to_le_bytes())),
    ]
}

fn archive(arrays: &[(&str, Vec<u8>)], method: CompressionMethod) -> Vec<u8> {
    let mut writer = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    // As NumPy does, which does not know beforehand how long an array will be.
    let options = SimpleFileOptions::default().compression_method(method).large_file(true);
    for (name, bytes) in arrays {
        writer.start_file(format!("{name}.npy"), options).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn write(bytes: &[u8]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("set.npz"), bytes).unwrap();
    dir
}

fn load_bytes(bytes: &[u8]) -> Result<(Vec<String>, Signals, Signals), DataError> {
    let dir = write(bytes);
    assert!(is_npz(dir.path()) && is_npz(&dir.path().join("set.npz")));
    load(dir.path(), &LoadOptions { memory: 1 << 20, ..LoadOptions::default() })
}

/// Loads with some arrays in place of those of the same names.
fn load_with(
    other: &[(&'static str, Vec<u8>)],
) -> Result<(Vec<String>, Signals, Signals), DataError> {
    let mut arrays = arrays();
    for (name, bytes) in other {
        arrays.retain(|(old, _)| old != name);
        arrays.push((name, bytes.clone()));
    }
    load_bytes(&archive(&arrays, CompressionMethod::Stored))
}

fn message(other: &[(&'static str, Vec<u8>)]) -> String {
    let message = load_with(other).unwrap_err().to_string();
    assert!(message.contains("set.npz: ") && !message.contains('\n'), "{message}");
    message
}

#[test]
fn series_are_read_plain_and_compressed() {
    for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
        let (classes, train, test) = load_bytes(&archive(&arrays(), method)).unwrap();
        assert_eq!(classes, ["-2", "7"]);
        assert_eq!((train.extents, train.channels), (Extents::series(3), 2));
        // From channels first to channels last.
        let wanted = [0.0, 3.0, 1.0, 4.0, 2.0, 5.0, 6.0, 9.0, 7.0, 10.0, 8.0, 11.0];
        assert_eq!(train.values, wanted);
        assert_eq!((train.labels, test.labels), (vec![1, 0], vec![1]));
    }
}

#[test]
fn two_axes_are_one_channel_and_four_and_five_are_grids() {
    let pair = |train: &str, test: &str, count| {
        let (_, train, _) = load_with(&[
            ("X_train", counting(train, 2 * count)),
            ("X_test", counting(test, count)),
        ])
        .unwrap();
        (train.extents, train.channels, train.values)
    };
    let (extents, channels, values) = pair("(2, 6)", "(1, 6)", 6);
    assert_eq!((extents, channels, values[7]), (Extents::series(6), 1, 7.0));
    let (extents, channels, values) = pair("(2, 2, 1, 3)", "(1, 2, 1, 3)", 6);
    assert_eq!((extents, channels, values[1]), (Extents::image(1, 3), 2, 3.0));
    let (extents, channels, values) = pair("(2, 1, 2, 3, 1)", "(1, 1, 2, 3, 1)", 6);
    assert_eq!((extents, channels, values[5]), (Extents::volume(2, 3, 1), 1, 5.0));
}

#[test]
fn the_order_of_fortran_gives_the_same() {
    // Values that tell their place: signal, channel, row, column.
    let value = |n: usize, c: usize, y: usize, x: usize| (1000 * n + 100 * c + 10 * y + x) as f32;
    let (mut rows, mut columns) = (Vec::new(), Vec::new());
    for (a, b, c, d) in (0..2 * 3 * 2 * 4).map(|i| (i / 24, i / 8 % 3, i / 4 % 2, i % 4)) {
        rows.push(value(a, b, c, d));
    }
    for (a, b, c, d) in (0..2 * 3 * 2 * 4).map(|i| (i % 2, i / 2 % 3, i / 6 % 2, i / 12)) {
        columns.push(value(a, b, c, d));
    }
    let load = |fortran, values: &[f32]| {
        let array = npy::bytes("<f4", fortran, "(2, 3, 2, 4)", &floats(values));
        load_with(&[("X_train", array), ("X_test", counting("(1, 3, 2, 4)", 24))]).unwrap().1
    };
    let train = load(false, &rows);
    assert_eq!(train, load(true, &columns));
    // Position (1, 3) of the first signal.
    assert_eq!(train.values[21..24], [13.0, 113.0, 213.0]);
}

#[test]
fn labels_may_be_text_or_a_column_and_missing_values_nan() {
    let text =
        |text: &str| text.chars().flat_map(|c| (c as u32).to_le_bytes()).collect::<Vec<u8>>();
    let mut values = floats(&[1.0; 12]);
    values[4..8].copy_from_slice(&f32::NAN.to_le_bytes());
    let (classes, train, test) = load_with(&[
        ("X_train", npy::bytes("<f4", false, "(2, 2, 3)", &values)),
        ("y_train", npy::bytes("<U2", false, "(2, 1)", &text("upa\0"))),
        ("y_test", npy::bytes("|S3", false, "(1,)", b"up\0")),
    ])
    .unwrap();
    assert_eq!(classes, ["a", "up"]);
    assert_eq!((train.labels, test.labels), (vec![1, 0], vec![1]));
    assert!(train.values[2].is_nan() && train.values.iter().filter(|v| v.is_nan()).count() == 1);
}

#[test]
fn a_limit_changes_neither_classes_nor_signals() {
    let dir = write(&archive(&arrays(), CompressionMethod::Deflated));
    let few = |limit| {
        let options = LoadOptions { limit: Some(limit), ..LoadOptions::default() };
        load(dir.path(), &options).unwrap()
    };
    let (classes, train, test) = few(1);
    assert_eq!((classes.len(), train.labels, test.labels), (2, vec![1], vec![1]));
    assert_eq!(train.values, [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
    assert!(few(0).1.labels.is_empty());
}

#[test]
fn arrays_that_do_not_fit_are_refused() {
    let y = |kind, shape, bytes: &[u8]| npy::bytes(kind, false, shape, bytes);
    assert!(message(&[("X_test", counting("(1, 3, 2)", 6))]).contains("[3, 2] where those"));
    assert!(message(&[("X_test", counting("(6,)", 6))]).contains("shape [6] is none"));
    assert!(message(&[("X_test", counting("(0, 2, 3)", 0))]).contains("none of"));
    assert!(message(&[("y_test", y("|i1", "(2,)", &[7, 7]))]).contains("each of 1 signals"));
    assert!(message(&[("y_test", y("|i1", "(1,)", &[8]))]).contains("class `8`"));
    assert!(message(&[("y_test", y("|S1", "(1,)", b"7"))]).contains("class `7`"));
    assert!(message(&[("y_train", y("<f4", "(2,)", &floats(&[1.0, 0.5])))]).contains("label 1"));
    assert!(message(&[("y_train", y("<f4", "(2,)", &floats(&[f32::NAN; 2])))]).contains("label 0"));
    let infinite = y("<f8", "(1, 2, 3)", &1e39f64.to_le_bytes().repeat(6));
    assert!(message(&[("X_test", infinite)]).contains("signal 0"));
    assert!(message(&[("X_test", y("|S1", "(1, 2, 3)", b"abcdef"))]).contains("text"));
    let many: Vec<u8> = (0..65_537u32).flat_map(u32::to_le_bytes).collect();
    assert!(message(&[("y_train", y("<u4", "(65537,)", &many))]).contains("65536 different"));
    assert!(message(&[("X_train", counting("(2, 2, 4)", 12))]).contains("promises"));
    assert!(message(&[("X_train", counting("(2, 0, 4)", 0))]).contains("none of"));
}

#[test]
fn large_arrays_are_refused_before_they_are_read() {
    // 2 MiB of zeros that are compressed to next to nothing; 1 MiB is allowed.
    let mut arrays = arrays();
    arrays[0].1 = npy::bytes("|u1", false, "(2, 4, 65536)", &vec![0; 2 * 4 * 65_536]);
    let packed = archive(&arrays, CompressionMethod::Deflated);
    assert!(packed.len() < 10_000);
    assert!(matches!(load_bytes(&packed), Err(DataError::SignalsTooLarge { .. })));
    arrays[1].1 = npy::bytes("|u1", false, "(300000,)", &[0; 300_000]);
    let packed = archive(&arrays, CompressionMethod::Deflated);
    assert!(matches!(load_bytes(&packed), Err(DataError::SignalsTooLarge { .. })));
    arrays[1].1 = npy::bytes("|u1", false, "(2,)", &[0; 2]);
    arrays[0].1 = npy::bytes("|u1", false, "(2, 65537)", &vec![0; 2 * 65_537]);
    let packed = archive(&arrays, CompressionMethod::Deflated);
    assert!(matches!(load_bytes(&packed), Err(DataError::GridSize { .. })));
}

#[test]
fn missing_arrays_and_archives_are_named() {
    let mut arrays = arrays();
    arrays.retain(|(name, _)| *name != "y_test");
    let bytes = archive(&arrays, CompressionMethod::Stored);
    let message = load_bytes(&bytes).unwrap_err().to_string();
    assert!(message.contains("the array y_test is missing"), "{message}");
    let dir = write(&bytes);
    fs::write(dir.path().join("other.npz"), "").unwrap();
    let message = load(dir.path(), &LoadOptions::default()).unwrap_err().to_string();
    assert!(message.contains("(other.npz, set.npz)"), "{message}");
    fs::remove_file(dir.path().join("set.npz")).unwrap();
    let message = load(dir.path(), &LoadOptions::default()).unwrap_err().to_string();
    assert!(message.contains("other.npz: not a readable npz archive"), "{message}");
    fs::remove_file(dir.path().join("other.npz")).unwrap();
    assert!(!is_npz(dir.path()));
    let error = load(dir.path(), &LoadOptions::default()).unwrap_err();
    assert!(matches!(error, DataError::Missing { .. }));
}

#[test]
fn damaged_archives_are_errors_and_never_panics() {
    let good = archive(&arrays(), CompressionMethod::Deflated);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("set.npz");
    let options = LoadOptions { memory: 1 << 20, ..LoadOptions::default() };
    for end in 0..good.len() {
        fs::write(&path, &good[..end]).unwrap();
        assert!(load(&path, &options).is_err(), "{end} bytes");
    }
    for at in 0..good.len() {
        for bit in [0, 3, 7] {
            let mut bad = good.clone();
            bad[at] ^= 1 << bit;
            fs::write(&path, &bad).unwrap();
            // Some bits of an archive, such as its dates, mean nothing here.
            if let Err(error) = load(&path, &options) {
                assert!(!error.to_string().contains('\n'), "{error}");
            }
        }
    }
}
