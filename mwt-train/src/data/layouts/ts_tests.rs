//! Tests of the `.ts` reader.

use tempfile::TempDir;

use super::*;

const HEADER: &str =
    "# A comment.\n@problemName Test\n@timeStamps false\n@classLabel true Up down\n\n@data\n";
const N: f32 = f32::NAN;

fn write(train: &str, test: &str) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("Test_TRAIN.ts"), train).unwrap();
    fs::write(dir.path().join("Test_TEST.ts"), test).unwrap();
    dir
}

fn read_all(train: &str, test: &str) -> Result<(Vec<String>, Signals, Signals), DataError> {
    let dir = write(train, test);
    assert!(is_ts(dir.path()));
    load(dir.path(), &LoadOptions::default())
}

fn read_train(lines: &str) -> Signals {
    let (classes, train, _) =
        read_all(&format!("{HEADER}{lines}"), &format!("{HEADER}{lines}")).unwrap();
    assert_eq!(classes, ["Up", "down"]);
    train
}

/// The message for a training file, which must name the file and the line.
fn message(train: &str, line: usize) -> String {
    let message = read_all(train, &format!("{HEADER}1:Up")).unwrap_err().to_string();
    assert!(message.contains(&format!("Test_TRAIN.ts:{line}: ")), "{message}");
    assert!(!message.contains('\n'), "{message}");
    message
}

/// Equal, where NaN equals NaN.
fn same(found: &[f32], wanted: &[f32]) {
    let pairs = found.iter().zip(wanted);
    let equal = pairs.clone().all(|(a, b)| a == b || a.is_nan() && b.is_nan());
    assert!(equal && found.len() == wanted.len(), "{found:?}, not {wanted:?}");
}

#[test]
fn channels_missing_values_and_classes_are_read() {
    let signals = read_train("1,2.5,?:-1e1, NaN ,3:up\n\n# not data\n4,5,6:7,8,9:DOWN\r\n");
    assert_eq!((signals.extents, signals.channels), (Extents::series(3), 2));
    same(&signals.values, &[1.0, -10.0, 2.5, N, N, 3.0, 4.0, 7.0, 5.0, 8.0, 6.0, 9.0]);
    assert_eq!(signals.labels, [0, 1]);
}

#[test]
fn short_series_end_in_nan_and_long_test_series_are_cut() {
    let train = format!("{HEADER}1,2:Up\n3,4,5:Up\n");
    let test = format!("{HEADER}6,7,8,9:down\n0:Up\n");
    let (_, train, test) = read_all(&train, &test).unwrap();
    same(&train.values, &[1.0, 2.0, N, 3.0, 4.0, 5.0]);
    same(&test.values, &[6.0, 7.0, 8.0, 0.0, N, N]);
    assert_eq!(test.labels, [1, 0]);
}

#[test]
fn channels_may_differ_in_length() {
    same(&read_train("1,2,3:4:Up\n").values, &[1.0, 4.0, 2.0, N, 3.0, N]);
}

#[test]
fn values_go_to_the_position_nearest_to_their_time() {
    let signals = read_train("(0,1),(1,2),(2,3),(10,4),(3,?):Up\n(5,6):Up\n");
    // Of five positions over 0 to 10: 0, 2.5, 5, 7.5, 10. 2 and 3 are both nearest to 2.5.
    same(&signals.values, &[2.0, N, N, N, 4.0, 6.0, N, N, N, N]);
}

#[test]
fn dates_are_times_and_their_colons_separate_nothing() {
    let signals = read_train(
        "(2007-01-01 00:00:00,1),(2007-01-01 00:01:00,2),(2007-01-01 00:03:00,3):\
         (2007-01-01 00:01:30,5):Up\n",
    );
    assert_eq!(signals.channels, 2);
    same(&signals.values, &[1.0, N, 2.0, 5.0, 3.0, N]);
}

#[test]
fn the_test_file_takes_its_classes_from_the_training_file() {
    let other = HEADER.replace("Up down", "down Up");
    let (_, _, test) = read_all(&format!("{HEADER}1:Up"), &format!("{other}1:Up")).unwrap();
    assert_eq!(test.labels, [0]);
}

#[test]
fn a_limit_does_not_change_the_grid() {
    let dir = write(&format!("{HEADER}1:Up\n2,3:down"), &format!("{HEADER}1:Up"));
    let few = LoadOptions { limit: Some(1), ..LoadOptions::default() };
    let (_, train, _) = load(dir.path(), &few).unwrap();
    assert_eq!((train.extents, train.labels.len()), (Extents::series(2), 1));
    same(&train.values, &[1.0, N]);
}

#[test]
fn one_of_several_pairs_is_chosen_by_the_directory() {
    let dir = write(&format!("{HEADER}1:Up"), &format!("{HEADER}1:Up"));
    for name in ["Own_TRAIN.ts", "Own_TEST.ts"] {
        fs::write(dir.path().join(name), format!("{HEADER}7:Up")).unwrap();
    }
    let error = load(dir.path(), &LoadOptions::default()).unwrap_err().to_string();
    assert!(error.contains("several data sets (Own, Test)"), "{error}");
    let own = dir.path().join("Own");
    fs::create_dir(&own).unwrap();
    for name in ["Own_TRAIN.ts", "Own_TEST.ts", "Test_TRAIN.ts", "Test_TEST.ts"] {
        fs::rename(dir.path().join(name), own.join(name)).unwrap();
    }
    assert_eq!(load(&own, &LoadOptions::default()).unwrap().1.values, [7.0]);
    assert!(!is_ts(dir.path()));
    fs::remove_file(own.join("Own_TEST.ts")).unwrap();
    assert_eq!(load(&own, &LoadOptions::default()).unwrap().1.values, [1.0]);
}

#[test]
fn faults_name_their_line() {
    let bad = |line: &str| message(&format!("{HEADER}1:Up\n{line}\n"), 8);
    assert!(bad("1,x:Up").contains("`x` is not a number"));
    assert!(bad("1,inf:Up").contains("`inf` is not a number"));
    assert!(bad("1,1e39:Up").contains("`1e39` is not a number"));
    assert!(bad("1,,2:Up").contains("`` is not a number"));
    assert!(bad("1:left").contains("class `left`"));
    assert!(bad("1,2").contains("0 channels"));
    assert!(bad("1:2:Up").contains("2 channels where 1"));
    assert!(bad("(1,2):Up").contains("mixed"));
    let bad = |line: &str| message(&format!("{HEADER}{line}\n"), 7);
    assert!(bad("(1,2),(x,3):Up").contains("`x` is neither"));
    assert!(bad("(1,2),(3):Up").contains("`(3` is not of the form"));
    assert!(bad("(1,2),3,(4,5):Up").contains("is not of the form"));
    assert!(bad("(1,2):3:Up").contains("mixed"));
    assert!(bad("(1,2),(2,3:Up").contains("is not of the form"));
}

#[test]
fn headers_without_classes_or_data_are_refused() {
    assert!(message("@data\n1:Up", 1).contains("names no classes"));
    assert!(message("@classLabel false\n@data\n", 2).contains("names no classes"));
    assert!(message("@targetLabel true\n@data\n1:2", 1).contains("no classes"));
    assert!(message("@classLabel true a\n1:a\n", 2).contains("`1:a` stands before"));
    assert!(message("@classLabel true a\n", 1).contains("@data should follow"));
    let error = read_all(HEADER, HEADER).unwrap_err();
    assert!(matches!(error, DataError::NoImages { .. }));
    let many: String = (0..70_000).map(|n| format!(" {n}")).collect();
    let error = read_all(&format!("@classLabel true{many}\n@data\n1:1"), HEADER).unwrap_err();
    assert!(matches!(error, DataError::TooManyClasses { found: 70_000, .. }));
}

#[test]
fn what_would_not_fit_is_refused_before_it_is_taken() {
    let long = format!("{HEADER}{}1:Up\n", "1,".repeat(70_000));
    assert!(matches!(read_all(&long, HEADER), Err(DataError::NoImages { .. })));
    assert!(matches!(read_all(&long, &long), Err(DataError::GridSize { .. })));
    // 60 000 short series beside a long one.
    let wide = format!("{HEADER}{}1:Up\n{}", "1,".repeat(60_000), "1:Up\n".repeat(60_000));
    assert!(matches!(read_all(&wide, &wide), Err(DataError::SignalsTooLarge { .. })));
}

#[test]
fn times_at_the_ends_of_all_numbers_are_placed() {
    let signals = read_train("(-1.7e308,1),(0,2),(1.7e308,3):Up\n");
    same(&signals.values, &[1.0, 2.0, 3.0]);
}

#[test]
fn bytes_that_are_no_text_are_an_error() {
    let dir = write(&format!("{HEADER}1:Up"), "");
    fs::write(dir.path().join("Test_TEST.ts"), [0xff, 0xfe, 0x0a]).unwrap();
    let error = load(dir.path(), &LoadOptions::default()).unwrap_err();
    assert!(matches!(error, DataError::Io { .. }));
}

#[test]
fn damaged_files_are_errors_and_never_panics() {
    let dir = write(&format!("{HEADER}1:Up"), "");
    for good in
        ["1,?,3:-4,5,6:Up\n7:8:down\n", "(1,2),(2007-01-01 01:00,?):(4,5):Up\n(6,7):(8,9):up\n"]
    {
        let good = format!("{HEADER}{good}");
        for (at, other) in (0..good.len()).flat_map(|at| b"\n :,()@?9\xff".map(|b| (at, b))) {
            let mut bad = good.clone().into_bytes();
            bad[at] = other;
            for name in ["Test_TRAIN.ts", "Test_TEST.ts"] {
                fs::write(dir.path().join(name), &bad).unwrap();
            }
            match load(dir.path(), &LoadOptions::default()) {
                Ok((_, train, _)) => assert!(train.labels.len() <= 3),
                Err(error) => assert!(!error.to_string().contains('\n'), "{error}"),
            }
        }
    }
}

#[test]
fn a_class_that_is_named_twice_is_one() {
    let file = "@classLabel true a A b a\n@data\n1:A\n2:b\n";
    let (classes, train, _) = read_all(file, file).unwrap();
    assert_eq!((classes, train.labels), (vec!["a".into(), "b".into()], vec![0, 1]));
}
