//! Several processes that train together, started by `mpirun`.
#![cfg(all(feature = "mpi", feature = "cpu"))]

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use mwt_train::run::checkpoint;
use mwt_train::weights::Weights;
use mwt_train::weights::trained::TrainedModel;

mod program;
use program::{ok, refused};

/// `mpirun` with this many processes on this machine alone, whatever its cores, by any user.
fn mpirun(dir: &Path, count: usize) -> Command {
    let mut command = Command::new("mpirun");
    command.current_dir(dir).args(["--oversubscribe", "-n", &count.to_string()]);
    command.envs([("OMPI_ALLOW_RUN_AS_ROOT", "1"), ("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")]);
    command.envs([("OMPI_MCA_btl", "self,vader,tcp"), ("OMPI_MCA_btl_tcp_if_include", "lo")]);
    command
}

const PROGRAM: &str = env!("CARGO_BIN_EXE_mwt-train");

/// Whether there is an `mpirun`; where one is required there must be.
fn there_is_none() -> bool {
    let missing = Command::new("mpirun").arg("--version").output().is_err();
    assert!(!missing || std::env::var_os("MWT_REQUIRE_MPI").is_none(), "no mpirun");
    if missing {
        println!("skipped: no mpirun");
    }
    missing
}

fn run(dir: &Path, count: usize, arguments: &[&str]) -> Output {
    mpirun(dir, count).arg(PROGRAM).args(arguments).output().unwrap()
}

#[track_caller]
fn all_well(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn weights(run: &Path) -> Weights {
    TrainedModel::load(run).unwrap().weights
}

/// The largest distance of two models' values, of each tensor in parts of its largest value.
fn distance(a: &Weights, b: &Weights) -> f32 {
    let of_tensor = |(name, array): (&String, &mwt_train::weights::Array)| {
        let largest = array.values.iter().fold(1e-6f32, |most, v| most.max(v.abs()));
        let pairs = array.values.iter().zip(b.values(name));
        pairs.fold(0f32, |most, (a, b)| most.max((a - b).abs())) / largest
    };
    a.arrays().iter().map(of_tensor).fold(0.0, f32::max)
}

/// What trains a model of 3 outer steps.
fn three_steps(name: &str, more: &[&str]) -> Vec<String> {
    let train =
        "train --data digits --limit 96 --validation 0 --epochs 1 --no-report --quiet --name";
    train.split(' ').chain([name]).chain(more.iter().copied()).map(str::to_owned).collect()
}

/// Any number of processes takes the steps of one, but for the rounding of sums in another order: models of two sizes, all
/// modes and draws, with augmentation and holes. Twice the same number takes the same, bit for bit.
#[test]
fn ranks_take_the_steps_of_one() {
    if there_is_none() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let cases: [(&str, &[&str]); 6] = [
        ("nano", &["--preset", "nano"]),
        ("micro", &["--preset", "micro", "--w-cls", "0.1"]),
        ("simultaneous", &["--preset", "nano", "--mode", "wt-simultaneous"]),
        ("sequential", &["--preset", "nano", "--mode", "wt-sequential"]),
        ("random", &["--preset", "nano", "--draw", "random", "--pad", "2", "--rotate", "10"]),
        ("stratified", &["--preset", "nano", "--draw", "stratified", "--missing", "0..0.8"]),
    ];
    for (case, more) in cases {
        let train = |name: &str, count: usize| {
            let name = format!("{case}-{name}");
            let arguments = three_steps(&name, more);
            let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
            match count {
                0 => drop(ok(dir, &arguments)),
                _ => drop(all_well(&run(dir, count, &arguments))),
            }
            weights(&dir.join("runs").join(name))
        };
        let (alone, one, two, again) = (train("0", 0), train("1", 1), train("2", 2), train("b", 2));
        assert_eq!(alone, one, "{case}");
        assert_eq!(two, again, "{case}");
        assert_ne!(two, alone, "{case}: nothing was exchanged");
        // Three does not divide the batch.
        for several in [&two, &train("3", 3), &train("4", 4)] {
            let far = distance(&alone, several);
            assert!(far < 2e-4, "{case}: {far}");
        }
    }
}

/// What the first process writes is what one alone would write, with the exchange's time.
#[test]
fn the_first_writes_for_all() {
    if there_is_none() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let train = "train --data digits --limit 128 --epochs 2 --preset nano --validation 20 --name a";
    let said = all_well(&run(dir.path(), 2, &train.split(' ').collect::<Vec<_>>()));
    assert_eq!(said.matches("trained: runs/a").count(), 1, "{said}");
    let rows = mwt_train::run::RunDir::metrics(&dir.path().join("runs/a")).unwrap();
    let last = rows.last().unwrap();
    assert!(
        last.exchange_ms.is_some_and(|ms| ms > 0.0)
            && last.slowest_rank.is_some_and(|rank| rank < 2)
    );
    assert!(last.validation_accuracy.is_some());
    let alone = train.replace("--name a", "--name b");
    ok(dir.path(), &alone.split(' ').collect::<Vec<_>>());
    let alone = mwt_train::run::RunDir::metrics(&dir.path().join("runs/b")).unwrap();
    assert_eq!(alone.len(), rows.len());
    for (a, b) in alone.iter().zip(&rows) {
        assert_eq!((a.step, a.accuracy, a.exchange_ms), (b.step, b.accuracy, None));
        assert!((a.reconstruction - b.reconstruction).abs() < 1e-4 * a.reconstruction);
    }
}

/// Waits for the first checkpoint behind a step.
fn wait_for(run: &Path, step: u64, child: &mut Child) {
    let start = Instant::now();
    while !checkpoint::load(run)
        .is_ok_and(|found| found.is_some_and(|(s, _)| s.position.total > step))
    {
        assert!(start.elapsed() < Duration::from_secs(120), "no checkpoint behind step {step}");
        assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A process that is killed ends all of them, and another number goes on from the checkpoint: two, four, one alone.
#[test]
fn another_number_goes_on_where_one_was_killed() {
    if there_is_none() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let train = "train --data digits --limit 640 --validation 0 --epochs 4 --preset nano --no-report --quiet \
                 --checkpoint-seconds 0 --name a";
    let path = dir.join("runs/a");
    let mut at = 0;
    for (count, arguments) in [(2, train), (4, "resume runs/a --no-report --quiet")] {
        let mut child = mpirun(dir, count)
            .arg(PROGRAM)
            .args(arguments.split_whitespace())
            .stderr(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        wait_for(&path, at, &mut child);
        // The last of the processes that mpirun started.
        let parent = child.id().to_string();
        let found = Command::new("pgrep").args(["-P", &parent, "mwt-train"]).output().unwrap();
        let found = String::from_utf8(found.stdout).unwrap();
        let last = found.lines().last().expect("a process");
        assert!(Command::new("kill").args(["-9", last]).status().unwrap().success());
        assert!(!child.wait().unwrap().success());
        at = checkpoint::load(&path).unwrap().unwrap().0.position.total;
    }
    assert!(0 < at && at < 80, "{at}");
    ok(dir, &["resume", "runs/a", "--no-report", "--quiet"]);
    let resumed = TrainedModel::load(&path).unwrap();
    assert_eq!(resumed.summary.outer_steps, 80);
    let alone = train.replace("--name a", "--name b");
    ok(dir, &alone.split_whitespace().collect::<Vec<_>>());
    // Eighty steps of AdamW carry differences of rounding further than three do.
    let far = distance(&weights(&dir.join("runs/b")), &resumed.weights);
    assert!(far < 2e-2, "{far}");
}

/// Writes a folder of coloured images, 64 by 64: two classes of a hundred to train on, and some to test on.
fn write_folder(dir: &Path) {
    for (folder, images) in [("train/a", 100), ("train/b", 100), ("test/a", 3), ("test/b", 3)] {
        let folder = dir.join(folder);
        std::fs::create_dir_all(&folder).unwrap();
        for n in 0..images {
            let shade = 100 * u32::from(folder.ends_with("a")) + n;
            let pixel = |x: u32, y: u32| image::Rgb([shade, x * 4, y * shade].map(|v| v as u8));
            let image = image::RgbImage::from_fn(64, 64, pixel);
            image.save(folder.join(format!("{n:03}.png"))).unwrap();
        }
    }
}

/// Cuts the end of an image off, which its header does not tell.
fn cut(path: &Path) {
    let bytes = std::fs::read(path).unwrap();
    std::fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
}

/// The lines of complaint.
fn errors(output: &Output) -> Vec<String> {
    let said = String::from_utf8_lossy(&output.stderr);
    said.lines().filter(|line| line.starts_with("error: ")).map(str::to_owned).collect()
}

/// Between them the processes decode each image of a folder once when they begin, and have the data set, down to its hash,
/// that one alone has, images that cannot be read left out: those that stay in memory, and those that are decoded as they
/// are used.
#[test]
fn each_image_is_decoded_by_one_rank() {
    if there_is_none() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    write_folder(&dir.join("data"));
    for damaged in ["train/a/007.png", "train/b/093.png"] {
        cut(&dir.join("data").join(damaged));
    }
    for memory in ["1", "0"] {
        let train = |name: &str, count: usize| {
            let name = format!("{name}{memory}");
            let line = format!(
                "train --data data --preset nano --batch 64 --epochs 1 --validation 20 --no-report --memory-gib {memory} \
                 --name {name}"
            );
            let output = run(dir, count, &line.split_whitespace().collect::<Vec<_>>());
            all_well(&output);
            let path = dir.join("runs").join(name);
            let facts = std::fs::read_to_string(path.join("data.json")).unwrap();
            (facts, weights(&path), String::from_utf8_lossy(&output.stderr).into_owned())
        };
        let (facts, alone, said) = train("one", 1);
        assert!(said.contains("2 images left out") && !said.contains("decoded by"), "{said}");
        for (name, count, most) in [("two", 2, 103), ("three", 3, 69)] {
            let (of_several, weights, said) = train(name, count);
            assert_eq!(of_several, facts);
            let far = distance(&alone, &weights);
            assert!(0.0 < far && far < 2e-4, "{far}");
            let line = format!("206 images decoded by {count} processes, {most} at most by one");
            assert!(said.contains(&line), "{said}");
            assert!(said.contains("2 images left out, the first: rank 0 on"), "{said}");
        }
    }
    // One too many, which the second process finds: one line that names both.
    let name = "train/b/099.png";
    cut(&dir.join("data").join(name));
    std::fs::write(
        dir.join("data/train/a/007.png"),
        std::fs::read(dir.join("data/train/a/008.png")).unwrap(),
    )
    .unwrap();
    cut(&dir.join("data/train/b/098.png"));
    let train = ["train", "--data", "data", "--preset", "nano", "--name", "bad"];
    let found = errors(&run(dir, 2, &train));
    let [line] = &found[..] else { panic!("{found:?}") };
    assert!(line.contains("3 of 200 images"), "{line}");
    assert!(line.contains("rank 1 on") && line.contains("093.png"), "{line}");
    assert!(!dir.join("runs/bad").exists());
}

/// Processes whose folders differ: in the images that are there they are refused, and one that meets another image than was
/// looked at when the run began ends all.
#[test]
fn folders_that_differ_are_refused() {
    if there_is_none() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    ["one", "two"].iter().for_each(|name| write_folder(&dir.join(name)));
    let train = "train --preset nano --batch 64 --epochs 1 --memory-gib 0 --no-report --data";
    let both = || {
        let train = || train.split_whitespace();
        let mut command = mpirun(dir, 1);
        command.arg(PROGRAM).args(train()).arg("one");
        errors(&command.args([":", "-n", "1", PROGRAM]).args(train()).arg("two").output().unwrap())
    };
    let file = dir.join("two/train/a/050.png");
    std::fs::rename(&file, dir.join("two/train/a/0500.png")).unwrap();
    let found = both();
    let [line] = &found[..] else { panic!("{found:?}") };
    assert!(line.contains("rank 1 on") && line.contains("another list of images"), "{line}");
    assert!(!dir.join("runs").exists());
    std::fs::rename(dir.join("two/train/a/0500.png"), &file).unwrap();
    // As many, of the same names, and each of another image.
    let folders = ["a", "b"].map(|class| dir.join("two/train").join(class));
    for folder in folders {
        for n in 0..100 {
            image::RgbImage::new(64, 64).save(folder.join(format!("{n:03}.png"))).unwrap();
        }
    }
    let found = both();
    let [line, ..] = &found[..] else { panic!("{found:?}") };
    assert!(line.contains("error: rank ") && line.contains("other bytes"), "{line}");
    assert!(line.contains("go on with mwt-train resume runs/run"), "{line}");
}

/// Processes that were told other things are refused before anything is written, in one line that says which and what.
#[test]
fn ranks_that_differ_are_refused() {
    if there_is_none() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let train =
        ["train", "--preset", "nano", "--limit", "64", "--epochs", "1", "--quiet", "--no-report"];
    for (first, other, what) in [
        (&["--data", "digits"][..], &["--data", "digits", "--seed", "1"][..], "settings"),
        (&["--data", "digits"], &["--data", "gestures", "--preset", "nano"], "settings"),
    ] {
        let mut command = mpirun(dir, 1);
        command.arg(PROGRAM).args(train).args(first);
        command.args([":", "-n", "1", PROGRAM]).args(&train[..1]).args(&train[3..]).args(other);
        if !other.contains(&"--preset") {
            command.args(["--preset", "nano"]);
        }
        let output = command.output().unwrap();
        assert!(!output.status.success());
        let said = String::from_utf8_lossy(&output.stderr);
        let lines: Vec<_> = said.lines().filter(|line| line.starts_with("error: ")).collect();
        let [line] = lines[..] else { panic!("{said}") };
        assert!(line.contains("rank 1 on") && line.contains(what), "{line}");
        assert!(!dir.join("runs").exists());
    }
    // What one of them cannot do ends all, and says which it was; what none can the first says.
    let absent = [&train[..], &["--data", "absent"]].concat();
    let found = errors(&run(dir, 2, &absent));
    let [line] = &found[..] else { panic!("{found:?}") };
    assert!(line.contains("rank 0 on") && line.contains("absent"), "{line}");
    let few = [&train[..], &["--data", "digits", "--batch", "2"]].concat();
    let said = run(dir, 3, &few);
    assert!(String::from_utf8_lossy(&said.stderr).contains("3 processes for batches of 2 images"));
    // Alone it is as ever.
    assert!(refused(dir, &absent).contains("absent"));
}
