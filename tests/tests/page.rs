//! What the web page shows.

use std::fmt::Write;
use std::path::Path;

use mwt_train::data::{LoadOptions, load};

/// The recordings of the page are test series of the built-in gestures, the first of each class, in thousandths of g.
///
/// `SNAPSHOTS=overwrite` writes the file again.
#[test]
fn recordings_are_test_series() {
    let set = load("gestures", &LoadOptions::default()).expect("it is built in");
    let recordings = set.classes.iter().enumerate().map(|(class, name)| {
        let n = set.test.labels.iter().position(|label| usize::from(*label) == class);
        let numbers = set.test.numbers(n.expect("one of each class")).expect("in memory").to_f32();
        let mut readings = String::new();
        for reading in numbers.chunks(3) {
            let comma = if readings.is_empty() { "" } else { "," };
            match reading {
                [x, ..] if x.is_nan() => write!(readings, "{comma}[null,null,null]"),
                [x, y, z] => {
                    let [x, y, z] = [x, y, z].map(|g| (1000.0 * g).round() as i32);
                    write!(readings, "{comma}[{x},{y},{z}]")
                }
                _ => unreachable!("three axes"),
            }
            .expect("a string takes all");
        }
        format!("{{\"name\":\"{name}\",\"readings\":[{readings}]}}")
    });
    let expected = format!("[{}]\n", recordings.collect::<Vec<_>>().join(",\n"));
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../web/page/gestures.json");
    if std::env::var("SNAPSHOTS").is_ok_and(|value| value == "overwrite") {
        std::fs::write(&file, &expected).expect("the page's folder");
    }
    let found = std::fs::read_to_string(&file).expect("web/page/gestures.json");
    assert!(found == expected, "{} is not what the data set gives", file.display());
}
