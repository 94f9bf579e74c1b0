//! Checkpoints of the reference implementation.

use std::io::Write;
use std::path::{Path, PathBuf};

use mwt_core::draw::mix;
use mwt_core::{Bundle, ModelConfig, Schemes, quant::Scheme};
use mwt_infer::{Classifier, WorkspaceBuf};
use mwt_tests::{Golden, IMAGES, assert_close, fixture, full_golden, golden, golden_dir, skipped};
use mwt_train::export::Export;
use mwt_train::weights::Weights;
use mwt_train::weights::exchange::{infer_config, read, read_wrapped, to_safetensors};

/// A checkpoint's values equal the golden weights, and its bundle gives the golden logits.
fn same_logits(golden: &Golden, path: &std::path::Path) {
    let arrays = read(path).unwrap();
    let config = infer_config(&arrays, golden.config).unwrap();
    assert_eq!(config, golden.config, "the shapes tell the configuration");
    let weights = Weights::new(config, arrays).unwrap();
    assert_eq!(weights, golden.weights);

    let export = Export { schemes: Schemes::all(Scheme::F32), ..Export::default() };
    let bytes = export.bundle(&weights).unwrap();
    let bundle = Bundle::parse(&bytes).unwrap();
    let mut workspace = WorkspaceBuf::new(&config);
    let mut classifier = Classifier::new(&bundle, workspace.as_mut_slice()).unwrap();
    for image in 0..IMAGES {
        let values = golden.values(image);
        let source = golden.source(&values);
        classifier.fit_indices(&source, &golden.inner_indices(image)).unwrap();
        let logits = classifier.logits().unwrap();
        assert_close("logits", logits, golden.expect_of("logits", image), 1e-4);
    }
}

#[test]
fn micro_pt() {
    same_logits(&golden("micro"), &fixture("micro.pt"));
}

#[test]
fn base_pt() {
    match (full_golden("base"), golden_dir()) {
        (Some(golden), Some(dir)) => same_logits(&golden, &dir.join("base.pt")),
        _ => skipped("base_pt", "MWT_GOLDEN_DIR"),
    }
}

/// A checkpoint taken after three outer steps, optimiser state and all.
#[test]
fn a_training_checkpoint_holds_the_trained_values() {
    let golden = golden("nano");
    let arrays = read(&fixture("nano_step3.pt")).unwrap();
    assert!(arrays.keys().all(|name| !name.contains("optim")), "optimiser state is left out");
    let weights = Weights::new(golden.config, arrays).unwrap();
    for (name, array) in weights.arrays() {
        let want = golden.expect(&format!("after_outer_step.3.{name}"));
        assert_close(name, &array.values, want, 2e-6 + 0.002 * f32::from(name.starts_with("meta")));
    }
}

/// Safetensors under the same names are read to the same values.
#[test]
fn safetensors_and_pt_agree() {
    let pt = read(&fixture("micro.pt")).unwrap();
    assert_eq!(pt, read(&fixture("micro.weights.safetensors")).unwrap());
}

#[test]
fn a_checkpoint_without_a_tensor_is_refused_by_name() {
    let mut arrays = read(&fixture("micro.pt")).unwrap();
    arrays.remove("siren_rgb.out.weight");
    let error = infer_config(&arrays, ModelConfig::MICRO).unwrap_err().to_string();
    assert!(error.starts_with("tensor siren_rgb.out.weight is missing"), "{error}");
    // A set of other names is told what it has.
    let wrapped = read(&fixture("micro.pt")).unwrap().into_iter();
    let wrapped = wrapped.map(|(name, array)| (format!("module.{name}"), array)).collect();
    let error = infer_config(&wrapped, ModelConfig::MICRO).unwrap_err().to_string();
    assert!(error.contains("module.classifier.base"), "{error}");
}

#[test]
fn wrong_shapes_are_listed() {
    let mut arrays = read(&fixture("micro.pt")).unwrap();
    for name in ["classifier.to_logits.bias", "siren_rgb.sirens.0"] {
        arrays.get_mut(name).unwrap().shape.push(1);
    }
    let error = Weights::new(ModelConfig::MICRO, arrays).unwrap_err().to_string();
    for words in
        ["to_logits.bias [10, 1], expected [10]", "sirens.0 [2, 32, 1]", "expected [2, 32]"]
    {
        assert!(error.contains(words), "{error}");
    }
}

/// A pickle of a state dict with one float tensor: its name, its shape, and bytes that come before the dict's end.
fn pickle(name: &str, shape: &[u32], more: &[u8]) -> Vec<u8> {
    let text =
        |text: &str| [&b"X"[..], &(text.len() as u32).to_le_bytes(), text.as_bytes()].concat();
    let int = |n: u32| [&b"J"[..], &n.to_le_bytes()].concat();
    let tuple = |items: Vec<Vec<u8>>| [b"(".to_vec(), items.concat(), b"t".to_vec()].concat();
    let numel = shape.iter().product::<u32>();
    let storage = tuple(vec![
        text("storage"),
        b"ctorch\nFloatStorage\n".to_vec(),
        text("0"),
        text("cpu"),
        int(numel),
    ]);
    // Strides of 1: enough for a vector, and for a broadcast of it.
    let strides = shape.iter().rev().scan(1, |at, side| Some(std::mem::replace(at, *at * side)));
    let strides: Vec<u32> = strides.collect();
    let tensor = tuple(vec![
        storage,
        b"Q".to_vec(),
        int(0),
        tuple(shape.iter().map(|n| int(*n)).collect()),
        tuple(strides.iter().rev().map(|n| int(*n)).collect()),
        b"\x89ccollections\nOrderedDict\n)R".to_vec(),
    ]);
    let rebuilt = [b"ctorch._utils\n_rebuild_tensor_v2\n".to_vec(), tensor, b"R".to_vec()].concat();
    [b"\x80\x02}(".to_vec(), text(name), rebuilt, more.to_vec(), b"u.".to_vec()].concat()
}

/// A zip archive of these entries as `x.pt`.
fn archive(dir: &Path, entries: &[(&str, &[u8])]) -> PathBuf {
    let path = dir.join("x.pt");
    let mut zip = zip::ZipWriter::new(std::fs::File::create(&path).unwrap());
    for (name, bytes) in entries {
        let options = zip::write::SimpleFileOptions::default();
        zip.start_file(*name, options.compression_method(zip::CompressionMethod::Deflated))
            .unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap();
    path
}

/// The crafted pickles above are such as are read: what is refused below is refused for what is wrong with it.
#[test]
fn a_crafted_checkpoint_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let values: Vec<u8> = [1f32, 2.0, 3.0].iter().flat_map(|v| v.to_le_bytes()).collect();
    let dict = pickle("classifier.x", &[3], b"");
    let path = archive(dir.path(), &[("a/data.pkl", &dict), ("a/data/0", &values)]);
    assert_eq!(read(&path).unwrap()["classifier.x"].values, [1.0, 2.0, 3.0]);
}

/// A pickle that calls `os.system` on import is read for its tensors, and the call is not made.
#[test]
fn a_pickle_is_never_executed() {
    let dir = tempfile::tempdir().unwrap();
    let made = dir.path().join("made");
    let command = format!("touch {}", made.display());
    let length = (command.len() as u32).to_le_bytes();
    let call =
        [&b"X\x01\0\0\0ycposix\nsystem\n(X"[..], &length, command.as_bytes(), b"tR"].concat();
    let dict = pickle("classifier.x", &[3], &call);
    let path = archive(dir.path(), &[("a/data.pkl", &dict), ("a/data/0", &[0; 12])]);
    assert_eq!(read(&path).unwrap().len(), 1, "the call is data like any other");
    assert!(!made.exists());
}

#[test]
fn a_zip_bomb_is_refused_before_it_is_unpacked() {
    let dir = tempfile::tempdir().unwrap();
    let line = |path: &Path| {
        let line = read(path).unwrap_err().to_string();
        assert!(line.contains("x.pt") && !line.contains('\n'), "{line}");
        line
    };
    // 64 MiB of zeros in 64 KiB.
    let zeros = vec![0; 64 << 20];
    let dict = pickle("classifier.x", &[16 << 20], b"");
    let path = archive(dir.path(), &[("a/data.pkl", &dict), ("a/data/0", &zeros)]);
    assert!(std::fs::metadata(&path).unwrap().len() < 100_000);
    assert!(line(&path).contains("claim to hold"));
    // The pickle itself.
    let path = archive(dir.path(), &[("a/data.pkl", &vec![b'N'; 101 << 20])]);
    assert!(line(&path).contains("limit"));
    // A shape that is not there.
    let dict = pickle("classifier.x", &[4], b"");
    let path = archive(dir.path(), &[("a/data.pkl", &dict), ("a/data/0", &[0; 12])]);
    line(&path);
}

/// Nothing is unpacked to disk, so a path that leaves the archive leads nowhere.
#[test]
fn a_path_out_of_the_archive_leads_nowhere() {
    let dir = tempfile::tempdir().unwrap();
    let inner = dir.path().join("inner");
    std::fs::create_dir(&inner).unwrap();
    let dict = pickle("classifier.x", &[3], b"");
    let entries: [(&str, &[u8]); 3] =
        [("a/data.pkl", &dict), ("a/data/0", &[0; 12]), ("../escaped", b"out")];
    assert_eq!(read(&archive(&inner, &entries)).unwrap().len(), 1);
    // Nor does a storage whose key is a path.
    std::fs::write(dir.path().join("0"), [0; 12]).unwrap();
    let dict = pickle("classifier.x", &[3], b"");
    let path = archive(&inner, &[("a/data.pkl", &dict), ("../0", &[0; 12])]);
    assert!(read(&path).unwrap_err().to_string().contains("not found"));
    let names: Vec<_> =
        std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
}

/// Any cut and any changed byte is answered, in one line or by a checkpoint that has what it says.
#[test]
fn a_damaged_checkpoint_is_answered() {
    let bytes = std::fs::read(fixture("nano_step3.pt")).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.pt");
    for n in 0..200 {
        let mut damaged = bytes.clone();
        let place = mix(n) as usize % bytes.len();
        if n % 4 == 0 {
            damaged.truncate(place)
        } else {
            damaged[place] ^= 1 << (n % 8)
        }
        std::fs::write(&path, damaged).unwrap();
        if let Err(e) = read(&path) {
            assert!(e.to_string().contains("x.pt"), "{e}");
        }
    }
}

#[test]
fn what_is_no_checkpoint_is_refused_in_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.pt");
    for bytes in [std::fs::read(fixture("README.md")).unwrap(), vec![], vec![0; 20]] {
        std::fs::write(&path, bytes).unwrap();
        let error = read(&path).unwrap_err().to_string();
        assert!(error.contains("x.pt") && !error.contains('\n'), "{error}");
    }
}

/// What a file is, its content says: a browser or a hub may have called it anything.
#[test]
fn a_checkpoint_may_have_any_name() {
    let dir = tempfile::tempdir().unwrap();
    let wanted = read_wrapped(&fixture("micro.pt")).unwrap();
    for name in ["micro.pt", "micro.weights.safetensors"] {
        for other in ["pytorch_model.bin", "x.PT", "x.pt.tar", "x", "x.safetensors"] {
            let path = dir.path().join(other);
            std::fs::copy(fixture(name), &path).unwrap();
            assert!(read_wrapped(&path).unwrap() == wanted, "{name} as {other}");
        }
    }
}

/// A safetensors file of these tensors under other names.
fn renamed(dir: &Path, name: impl Fn(&str) -> Vec<String>) -> PathBuf {
    let arrays = read(&fixture("micro.pt")).unwrap();
    let renamed = arrays.iter().flat_map(|(old, array)| {
        name(old).into_iter().map(|new| (new, array.clone())).collect::<Vec<_>>()
    });
    let path = dir.join("wrapped");
    let bytes = to_safetensors(&renamed.collect(), Vec::new()).unwrap();
    std::fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn wrappers_are_taken_off() {
    let dir = tempfile::tempdir().unwrap();
    let wanted = read(&fixture("micro.pt")).unwrap();
    for wrapper in [
        "module.",
        "_orig_mod.",
        "model.",
        "state_dict.",
        "state_dict.model._orig_mod.",
        "checkpoint.net.module.",
    ] {
        let path = renamed(dir.path(), |name| vec![format!("{wrapper}{name}")]);
        assert!(read_wrapped(&path).unwrap() == wanted, "{wrapper}");
    }
    // Each part wrapped by itself.
    let path = renamed(dir.path(), |name| {
        let (part, rest) = name.split_once('.').unwrap();
        vec![format!("{part}.module.{rest}")]
    });
    assert!(read_wrapped(&path).unwrap() == wanted);
    // Beside what is no model's, and beside moments of an optimiser.
    let path =
        renamed(dir.path(), |name| vec![name.into(), format!("adamw.{name}"), "step".into()]);
    assert!(read_wrapped(&path).unwrap() == wanted);

    let path = renamed(dir.path(), |name| vec![format!("model.{name}"), format!("ema.{name}")]);
    let line = read_wrapped(&path).unwrap_err().to_string();
    assert!(line.contains("several models, under ema, model"), "{line}");
    let path = renamed(dir.path(), |name| vec![name.replace('.', "/")]);
    let line = read_wrapped(&path).unwrap_err().to_string();
    assert!(line.contains("none of its tensors") && line.contains("classifier/base"), "{line}");
}

/// Tensors of other types are not absent, and the message does not say so.
#[test]
fn types_that_are_not_read_are_named() {
    use safetensors::tensor::{Dtype, TensorView};
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.safetensors");
    let mut named = Vec::new();
    for (kind, bytes) in [(Dtype::F8_E4M3, 6), (Dtype::F8_E5M2, 6), (Dtype::I8, 6)] {
        let data = vec![0; bytes];
        let view = TensorView::new(kind, vec![2, 3], &data).unwrap();
        let bytes = safetensors::serialize([("module.siren_rgb.sirens.0", view)], None).unwrap();
        std::fs::write(&path, bytes).unwrap();
        named.push(read_wrapped(&path).unwrap_err().to_string());
    }
    for (line, kind) in named.iter().zip(["F8_E4M3", "F8_E5M2", "I8"]) {
        assert!(line.contains(kind) && line.contains("siren_rgb.sirens.0"), "{line}");
    }
}
