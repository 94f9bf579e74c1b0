//! Tests of the reader, on the files of another writer (tools/reference/parquet.py) and on small ones of their own.

use std::fs;
use std::sync::Arc;

use parquet::data_type::{ByteArrayType, Int64Type};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use tempfile::TempDir;

use super::*;

const FIXTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/parquet");

fn read(path: &Path, options: &LoadOptions) -> Result<Parts, DataError> {
    load(path, options, &Ranks::alone())
}

fn message(path: &Path) -> String {
    let message = read(path, &LoadOptions::default()).unwrap_err().to_string();
    assert!(!message.contains('\n'), "{message}");
    message
}

/// A picture of one grey level.
fn png((height, width): (u32, u32), level: u8) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    let image = image::GrayImage::from_pixel(width, height, image::Luma([level]));
    image.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}

/// A column of values, of which some are null.
enum Column {
    Bytes(Vec<Option<Vec<u8>>>),
    Whole(Vec<Option<i64>>),
}

/// Writes a table of such columns, all optional and none in a group, in one group of rows.
fn write(dir: &TempDir, name: &str, columns: &[(&str, Column)]) -> PathBuf {
    write_with(dir, name, None, columns)
}

/// The same with what Hugging Face's library says of the columns.
fn write_with(
    dir: &TempDir,
    name: &str,
    said: Option<&str>,
    columns: &[(&str, Column)],
) -> PathBuf {
    let path = dir.path().join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let fields = columns.iter().map(|(declared, _)| format!("optional {declared};"));
    let schema = format!("message m {{ {} }}", fields.collect::<String>());
    let schema = Arc::new(parse_message_type(&schema).unwrap());
    let compression = parquet::basic::Compression::SNAPPY;
    let said = said.map(|said| vec![KeyValue::new("huggingface".into(), said.to_string())]);
    let properties = WriterProperties::builder().set_compression(compression);
    let properties = Arc::new(properties.set_key_value_metadata(said).build());
    let mut file =
        SerializedFileWriter::new(fs::File::create(&path).unwrap(), schema, properties).unwrap();
    let mut group = file.next_row_group().unwrap();
    for (_, column) in columns {
        let mut writer = group.next_column().unwrap().unwrap();
        let levels = |there: Vec<bool>| -> Vec<i16> { there.into_iter().map(i16::from).collect() };
        match column {
            Column::Bytes(values) => {
                let there = levels(values.iter().map(Option::is_some).collect());
                let values: Vec<_> = values.iter().flatten().map(|v| v.clone().into()).collect();
                writer.typed::<ByteArrayType>().write_batch(&values, Some(&there), None).unwrap();
            }
            Column::Whole(values) => {
                let there = levels(values.iter().map(Option::is_some).collect());
                let values: Vec<_> = values.iter().flatten().copied().collect();
                writer.typed::<Int64Type>().write_batch(&values, Some(&there), None).unwrap();
            }
        }
        writer.close().unwrap();
    }
    group.close().unwrap();
    file.close().unwrap();
    path
}

/// Pictures of levels 0, 1, …, each 2 high and 3 wide.
fn pictures(count: u8) -> Column {
    Column::Bytes((0..count).map(|level| Some(png((2, 3), level))).collect())
}

fn texts(labels: &[&str]) -> Column {
    Column::Bytes(labels.iter().map(|label| Some(label.as_bytes().to_vec())).collect())
}

/// The first byte of each image, and its label.
fn seen(split: &Split) -> Vec<(u8, u16)> {
    let first = |n: usize| *split.image(n).unwrap().iter().next().unwrap();
    (0..split.len()).map(|n| (first(n), split.labels[n])).collect()
}

#[test]
fn a_data_set_of_hugging_face_is_read() {
    let parts = read(&Path::new(FIXTURE).join("data"), &LoadOptions::default()).unwrap();
    assert_eq!(parts.classes, ["zero", "one", "two"]);
    let (train, test) = (parts.train.unwrap(), parts.test.unwrap());
    assert_eq!((train.shape(), train.len(), test.len()), ((6, 5, 3), 8, 3));
    for (first, split) in [(0, &train), (4, &test)] {
        for n in 0..split.len() {
            let i = first + n as u8;
            assert_eq!(u8::try_from(split.labels[n]).unwrap(), i % 3);
            let image = split.image(n).unwrap();
            assert!(image.as_slice().unwrap().chunks(3).all(|p| *p == [10 * i, 20 * i, 30 * i]));
        }
    }
    assert_eq!(parts.remarks.notes, ["the classes are those of fine_label, not of coarse_label"]);
    let [warning] = &parts.remarks.warnings[..] else { panic!("{:?}", parts.remarks) };
    assert!(warning.contains("1 images left out: they have no labels"), "{warning}");
}

/// The layout is found around the files, and one file is enough.
#[test]
fn it_is_found_by_folder_and_by_file() {
    use crate::data::{DatasetLayout, detect, load};
    for path in ["", "data", "data/train-00000-of-00001.parquet"] {
        let path = Path::new(FIXTURE).join(path);
        assert_eq!(detect(&path).unwrap(), DatasetLayout::Parquet);
        let set = load(&path.display().to_string(), &LoadOptions::default()).unwrap();
        let test_file = !path.is_file();
        assert_eq!(set.train.len() + set.test.len(), if test_file { 11 } else { 8 });
    }
}

#[test]
fn labels_may_be_text_and_files_lie_in_folders_of_splits() {
    let dir = tempfile::tempdir().unwrap();
    let strange = [("binary photo", pictures(2)), ("binary label (UTF8)", texts(&["dog", "cat"]))];
    write(&dir, "a/train/0.parquet", &strange);
    // `photo` is no usual name, and stands alone.
    write(&dir, "a/train/0.parquet", &strange);
    assert!(message(&dir.path().join("a")).contains("no column of images among photo, label"));

    let columns = |labels: &[&str]| {
        [("binary image", pictures(labels.len() as u8)), ("binary label (UTF8)", texts(labels))]
    };
    write(&dir, "b/train/0000.parquet", &columns(&["dog", "cat", "dog"]));
    write(&dir, "b/validation/0000.parquet", &columns(&["cat"]));
    write(&dir, "b/test/0000.parquet", &columns(&["ant", "cat"]));
    let parts = read(&dir.path().join("b"), &LoadOptions::default()).unwrap();
    assert_eq!(parts.classes, ["ant", "cat", "dog"]);
    assert_eq!(seen(&parts.train.unwrap()), [(0, 2), (1, 1), (2, 2)]);
    assert_eq!(seen(&parts.validation.unwrap()), [(0, 1)]);
    assert_eq!(seen(&parts.test.unwrap()), [(0, 0), (1, 1)]);

    let only = LoadOptions { only_test: true, ..LoadOptions::default() };
    let parts = read(&dir.path().join("b"), &only).unwrap();
    assert_eq!((parts.train, parts.validation), (None, None));
    assert_eq!(parts.test.unwrap().len(), 2);
}

#[test]
fn without_test_images_some_are_held_out() {
    let dir = tempfile::tempdir().unwrap();
    let labels = (0..20).map(|n| Some(n / 10 + 5)).collect();
    let path = write(
        &dir,
        "mine.parquet",
        &[("binary img", pictures(20)), ("int64 y", Column::Whole(labels))],
    );
    let parts = read(&path, &LoadOptions::default()).unwrap();
    assert_eq!(parts.classes, ["5", "6"]);
    let (train, test) = (parts.train.unwrap(), parts.test.unwrap());
    assert_eq!((train.len(), test.len()), (16, 4));
    let mut all = [seen(&train), seen(&test)].concat();
    all.sort_unstable();
    assert_eq!(all, (0..20).map(|n| (n, u16::from(n / 10))).collect::<Vec<_>>());
    // A limit takes of all classes, though they lie in order.
    let few = LoadOptions { limit: Some(4), ..LoadOptions::default() };
    assert_eq!(read(&path, &few).unwrap().train.unwrap().labels, [0, 0, 1, 1]);
}

#[test]
fn what_is_wrong_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let zeros = |count| Column::Whole(vec![Some(0); count]);
    let no_labels =
        write(&dir, "1/a.parquet", &[("binary image", pictures(2)), ("int64 id", zeros(2))]);
    assert!(message(&no_labels).contains("no column of labels among image, id"));

    // One of 150 may be missing or damaged, and of two none.
    let mut some = vec![Some(png((2, 3), 1)); 150];
    some[7] = None;
    let one = write(
        &dir,
        "2/a.parquet",
        &[("binary image", Column::Bytes(some)), ("int64 label", zeros(150))],
    );
    let parts = read(&one, &LoadOptions::default()).unwrap();
    assert_eq!(parts.train.unwrap().len() + parts.test.unwrap().len(), 149);
    let [left_out] = &parts.remarks.left_out[..] else { panic!("{:?}", parts.remarks) };
    assert!(left_out.contains("row 7: is not in the table"), "{left_out}");
    let half = vec![
        Some(png((2, 3), 1)),
        Some(png((2, 3), 2)[..40].to_vec()),
        Some(b"no picture".to_vec()),
    ];
    let damaged = write(
        &dir,
        "3/a.parquet",
        &[("binary image", Column::Bytes(half)), ("int64 label", zeros(3))],
    );
    assert!(message(&damaged).contains("1 in 100; the first is"));

    let sizes = vec![Some(png((2, 3), 1)), Some(png((3, 2), 1)), Some(png((2, 3), 1))];
    let mixed = write(
        &dir,
        "4/a.parquet",
        &[("binary image", Column::Bytes(sizes)), ("int64 label", zeros(3))],
    );
    assert!(message(&mixed).contains("--image-size 2x3"));
    let sized = LoadOptions { image_size: Some((4, 4)), ..LoadOptions::default() };
    assert_eq!(read(&mixed, &sized).unwrap().train.unwrap().shape(), (4, 4, 1));
    let little = LoadOptions { image_size: Some((4, 4)), memory: 20, ..LoadOptions::default() };
    assert!(matches!(read(&mixed, &little), Err(DataError::SignalsTooLarge { .. })));

    fs::write(dir.path().join("5.parquet"), b"PAR1 and no more").unwrap();
    assert!(message(&dir.path().join("5.parquet")).contains("not a readable parquet file"));
    let without = write(
        &dir,
        "6/a.parquet",
        &[("binary image", pictures(2)), ("int64 label", Column::Whole(vec![None, Some(-1)]))],
    );
    assert!(message(&without).contains("no images"));

    let said = r#"{"info": {"features": {"label": {"names": ["a", "b"], "_type": "ClassLabel"}}}}"#;
    let columns = |label| {
        [("binary image", pictures(2)), ("int64 label", Column::Whole(vec![Some(0), Some(label)]))]
    };
    let named = write_with(&dir, "7/a.parquet", Some(said), &columns(1));
    assert_eq!(read(&named, &LoadOptions::default()).unwrap().classes, ["a", "b"]);
    let unnamed = write_with(&dir, "7/b.parquet", Some(said), &columns(2));
    assert!(message(&unnamed).contains("label 2 is none of the 2 classes"));
}
