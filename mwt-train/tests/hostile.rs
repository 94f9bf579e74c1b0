//! Data sets that are damaged in any way are errors of one line, never panics, and take no more memory than they are
//! allowed. `MWT_EXECUTIONS` sets how many are tried, from number `MWT_FIRST` on.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use mwt_train::data::{LoadOptions, load};
use mwt_train::util::random::Rng;

/// Of an ordinary run of the tests; a release is tried with 10⁶.
const EXECUTIONS: u64 = 6_000;

/// Files below a directory and their bytes.
type Files = Vec<(PathBuf, Vec<u8>)>;

fn idx(code: u32, sides: &[u32], data: &[u8]) -> Vec<u8> {
    let header = std::iter::once(&code).chain(sides).flat_map(|n| n.to_be_bytes());
    header.chain(data.iter().copied()).collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn npy(kind: &str, shape: &str, elements: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}\n");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(elements);
    bytes
}

fn npz(arrays: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let stored =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (name, bytes) in arrays {
        zip.start_file(format!("{name}.npy"), stored).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn image(format: image::ImageFormat, level: u8) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    image::GrayImage::from_pixel(4, 4, image::Luma([level])).write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// A batch of CIFAR's python version with one image.
fn pickle() -> Vec<u8> {
    let mut bytes = b"\x80\x02}(U\x06labels]K\x03aU\x04datacnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01K\x01M\x00\x0c\x86cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T\x00\x0c\x00\x00".to_vec();
    bytes.extend([7; 3072]);
    bytes.extend(b"tbu.");
    bytes
}

/// A whole data set of each layout.
fn data_sets() -> Vec<Files> {
    let file = |name: &str, bytes: Vec<u8>| (PathBuf::from(name), bytes);
    let record = |labels: &[u8]| [labels, &[5; 3072]].concat();
    let named = |prefix: &str, test: &str, labels: fn(&[u8]) -> Vec<u8>| -> Files {
        vec![
            file(&format!("{prefix}train-images-idx3-ubyte"), idx(0x803, &[3, 2, 3], &[9; 18])),
            file(&format!("{prefix}train-labels-idx1-ubyte"), labels(&[1, 0, 2])),
            file(
                &format!("{prefix}{test}-images-idx3-ubyte.gz"),
                gzip(&idx(0x803, &[1, 2, 3], &[1; 6])),
            ),
            file(&format!("{prefix}{test}-labels-idx1-ubyte"), labels(&[1])),
        ]
    };
    let plain: fn(&[u8]) -> Vec<u8> = |labels| idx(0x801, &[labels.len() as u32], labels);
    let folder: Files = [
        "train/a/1.png",
        "train/a/2.jpg",
        "train/b/1.png",
        "train/b/2.png",
        "test/a/1.png",
        "val/b/1.jpg",
    ]
    .into_iter()
    .zip(0..)
    .map(|(name, level)| {
        let jpeg = name.ends_with("jpg");
        let format = if jpeg { image::ImageFormat::Jpeg } else { image::ImageFormat::Png };
        file(name, image(format, level))
    })
    .collect();
    let mut tiny: Files = ["train/n1/images/1.png", "train/n2/images/1.png", "val/images/v1.png"]
        .map(|name| file(name, image(image::ImageFormat::Png, 3)))
        .into();
    tiny.push(file("val/val_annotations.txt", b"v1.png\tn2\t0\t0\n".to_vec()));
    let signals = npz(&[
        ("X_train", npy("<f4", "(2, 1, 4)", &[1; 32])),
        ("y_train", npy("<i8", "(2,)", &[[1; 8], [2; 8]].concat())),
        ("X_test", npy("<f4", "(1, 1, 4)", &[2; 16])),
        ("y_test", npy("<i8", "(1,)", &[1; 8])),
    ]);
    let images = npz(&[
        ("train_images", npy("|u1", "(2, 2, 2, 3)", &[7; 24])),
        ("train_labels", npy("|u1", "(2, 1)", &[0, 1])),
        ("test_images", npy("|u1", "(1, 2, 2, 3)", &[8; 12])),
        ("test_labels", npy("|u1", "(1, 1)", &[1])),
    ]);
    vec![
        named("", "t10k", plain),
        named("emnist-letters-", "test", plain),
        named("qmnist-", "test", |labels| {
            let rows: Vec<u8> = labels.iter().flat_map(|l| [0, 0, 0, *l, 0, 0, 0, 9]).collect();
            idx(0xc02, &[labels.len() as u32, 2], &rows)
        }),
        vec![file("data_batch_1.bin", record(&[1])), file("test_batch.bin", record(&[2]))],
        vec![file("train.bin", record(&[1, 50])), file("test.bin", record(&[2, 99]))],
        vec![
            file("test_X.bin", vec![1; 96 * 96 * 3]),
            file("test_y.bin", vec![1]),
            file("class_names.txt", b"a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n".to_vec()),
        ],
        vec![file("train", pickle()), file("test_batch", pickle())],
        vec![file("a.npz", signals)],
        vec![file("b.npz", images)],
        ["train", "test"]
            .map(|split| {
                let name = format!("data/{split}-00000-of-00001.parquet");
                let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/parquet");
                file(&name, fs::read(Path::new(fixtures).join(&name)).unwrap())
            })
            .into(),
        folder.clone(),
        folder.into_iter().filter(|(name, _)| name.starts_with("train")).collect(),
        tiny,
        vec![
            file("A_TRAIN.ts", b"@classLabel true a b\n@data\n1,2,3:a\n4,?,6:b\n".to_vec()),
            file("A_TEST.ts", b"@classLabel true a b\n@data\n1,2,3:a\n".to_vec()),
        ],
    ]
}

/// Bytes that mean something somewhere.
const TELLING: [&[u8]; 8] = [
    &[0xff; 4],
    &[0; 4],
    &[0x7f, 0xff, 0xff, 0xff],
    &[0x1f, 0x8b, 8, 0],
    b"PK\x03\x04",
    &[0x80, 0x02],
    b"(18446744073709551615, 2)",
    b"q\xff\xff",
];

/// Damages a file in one of the ways in which files are damaged, or forged.
fn damage(bytes: &mut Vec<u8>, rng: &mut Rng) {
    let at = rng.below(bytes.len().max(1));
    // Headers are short: half of the damage is done there.
    let at = if rng.below(2) == 0 { at } else { at % 64 }.min(bytes.len());
    match rng.below(6) {
        0 => bytes.truncate(at),
        1 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << rng.below(8);
            }
        }
        2 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = rng.next_u64() as u8;
            }
        }
        3 => {
            let telling = TELLING[rng.below(TELLING.len())];
            let end = (at + telling.len()).min(bytes.len());
            bytes.splice(at..end, telling.iter().copied());
        }
        4 => {
            let end = (at + rng.below(16)).min(bytes.len());
            bytes.drain(at..end);
        }
        _ => {
            let end = (at + rng.below(32)).min(bytes.len());
            let again: Vec<u8> = bytes[at..end].to_vec();
            bytes.splice(at..at, again);
        }
    }
}

fn write(dir: &Path, files: &Files) {
    for (name, bytes) in files {
        let path = dir.join(name);
        // A file may have got the name of a folder: the one that came first stays.
        let _ = fs::create_dir_all(path.parent().unwrap());
        let _ = fs::write(path, bytes);
    }
}

#[test]
fn damaged_data_sets_are_errors_of_one_line() {
    let executions = std::env::var("MWT_EXECUTIONS").ok().and_then(|n| n.parse().ok());
    let executions: u64 = executions.unwrap_or(EXECUTIONS);
    let sets = data_sets();
    // In memory, where the system has such a place: a million of them are written.
    let memory = Path::new("/dev/shm");
    let top = match memory.is_dir() {
        true => tempfile::tempdir_in(memory),
        false => tempfile::tempdir(),
    };
    let top = top.unwrap();
    let (mut loaded, mut refused) = (0u64, 0u64);
    let first = std::env::var("MWT_FIRST").ok().and_then(|n| n.parse().ok()).unwrap_or(0);
    for n in first..first + executions {
        let mut rng = Rng::new(n, 0x6461_7461);
        let whole = &sets[rng.below(sets.len())];
        let mut files = whole.clone();
        for _ in 0..rng.below(3) {
            let file = rng.below(files.len());
            match rng.below(12) {
                // Missing, or under another's name.
                0 if files.len() > 1 => drop(files.remove(file)),
                1 => {
                    let other = &sets[rng.below(sets.len())];
                    files[file].0 = other[rng.below(other.len())].0.clone();
                }
                _ => damage(&mut files[file].1, &mut rng),
            }
        }
        let dir = top.path().join("set");
        write(&dir, &files);
        let options = LoadOptions {
            memory: 1 << 22,
            only_test: rng.below(3) == 0,
            image_size: (rng.below(4) == 0).then_some((4, 4)),
            labels: (rng.below(8) == 0).then(|| "a,b".into()),
            ..LoadOptions::default()
        };
        match load(&dir.display().to_string(), &options) {
            Ok(set) => {
                assert!(!set.test.is_empty());
                let classes = set.classes.len();
                let names: Vec<_> = files.iter().map(|(name, _)| name).collect();
                let mut labels = set.test.labels.iter();
                assert!(labels.all(|label| usize::from(*label) < classes), "{n}: {names:?}");
                loaded += 1;
            }
            Err(error) => {
                let line = error.to_string();
                assert!(!line.contains('\n') && line.len() < 2_000, "{n}: {line}");
                refused += 1;
            }
        }
        fs::remove_dir_all(&dir).unwrap();
    }
    println!("{loaded} were read, {refused} refused");
    // Damage is neither without effect nor all there is.
    assert!(loaded > executions / 10 && refused > executions / 10, "{loaded} {refused}");
}
