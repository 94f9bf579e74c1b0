//! What the program writes, and what it leaves alone.
#![cfg(all(feature = "cpu", unix))]

mod program;

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use program::{ok, refused, run};

const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/mnist-micro.mwt");

/// A directory with a trained model in it, `model.safetensors`, made from a reference checkpoint.
fn with_model() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let checkpoint = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/micro.pt");
    ok(dir.path(), &["import", checkpoint, "-o", "model.safetensors", "--preset", "micro"]);
    dir
}

fn export(dir: &Path, output: &str) -> String {
    ok(dir, &["export", "model.safetensors", "-o", output])
}

#[test]
fn a_card_replaces_no_file_but_its_own() {
    let dir = with_model();
    let dir = dir.path();
    fs::write(dir.join("README.md"), "# My project\n").unwrap();
    assert!(export(dir, "README.mwt").contains("README.mwt.md: model card"));
    assert_eq!(fs::read_to_string(dir.join("README.md")).unwrap(), "# My project\n");
    // Its own is written anew, as long as nobody changed it.
    assert!(export(dir, "a.mwt").contains("a.md: model card"));
    let card = fs::read_to_string(dir.join("a.md")).unwrap();
    assert!(export(dir, "a.mwt").contains("a.md: model card"));
    fs::write(dir.join("a.md"), card.clone() + "My notes.\n").unwrap();
    assert!(export(dir, "a.mwt").contains("a.mwt.md: model card"));
    assert_eq!(fs::read_to_string(dir.join("a.md")).unwrap(), card + "My notes.\n");
    // Where both names are somebody's, there is a warning and no card.
    fs::write(dir.join("a.mwt.md"), "mine").unwrap();
    let output = run(dir, &["export", "model.safetensors", "-o", "a.mwt"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && said.contains("a.mwt.md"), "{said}");
    assert_eq!(fs::read_to_string(dir.join("a.mwt.md")).unwrap(), "mine");
    // Versions are no endings.
    export(dir, "b-v1.0");
    export(dir, "b-v1.1");
    assert!(dir.join("b-v1.0.md").exists() && dir.join("b-v1.1.md").exists());
}

#[test]
fn links_pipes_and_devices_stay_what_they_are() {
    let dir = with_model();
    let dir = dir.path();
    fs::create_dir(dir.join("store")).unwrap();
    symlink("store/real.mwt", dir.join("link.mwt")).unwrap();
    export(dir, "link.mwt");
    export(dir, "link.mwt");
    assert!(fs::symlink_metadata(dir.join("link.mwt")).unwrap().is_symlink());
    let bytes = fs::read(dir.join("store/real.mwt")).unwrap();
    assert!(bytes.starts_with(b"\x89MWT"));

    export(dir, "secret.mwt");
    fs::set_permissions(dir.join("secret.mwt"), fs::Permissions::from_mode(0o600)).unwrap();
    export(dir, "secret.mwt");
    assert_eq!(fs::metadata(dir.join("secret.mwt")).unwrap().permissions().mode() & 0o777, 0o600);

    // A user's file beside it, under the name that temporary files once had.
    fs::write(dir.join("c.mwt.tmp"), "mine").unwrap();
    export(dir, "c.mwt");
    assert_eq!(fs::read(dir.join("c.mwt.tmp")).unwrap(), b"mine");

    // Standard output gets the bundle, and nothing but the bundle.
    let piped = run(dir, &["export", "model.safetensors", "-o", "/dev/stdout"]);
    assert!(piped.status.success() && piped.stdout == bytes);

    if Command::new("mkfifo").arg(dir.join("pipe")).status().is_ok_and(|s| s.success()) {
        let reader =
            Command::new("cat").arg(dir.join("pipe")).stdout(Stdio::piped()).spawn().unwrap();
        export(dir, "pipe");
        assert!(reader.wait_with_output().unwrap().stdout == bytes);
        assert!(fs::metadata(dir.join("pipe")).unwrap().file_type().is_fifo());
        assert!(!dir.join("pipe.md").exists());
    }
    // A device of our own that swallows all, as /dev/null; only root can make one.
    let node = Command::new("mknod").arg(dir.join("null")).args(["c", "1", "3"]).output();
    if node.is_ok_and(|node| node.status.success()) && fs::write(dir.join("null"), "x").is_ok() {
        for arguments in [
            &["export", "model.safetensors", "-o", "null"][..],
            &["export", MODEL, "--emit-rs", "null"],
            &["reconstruct", MODEL, "picture.png", "-o", "null"],
        ] {
            image::GrayImage::new(28, 28).save(dir.join("picture.png")).unwrap();
            ok(dir, arguments);
            let kind = fs::metadata(dir.join("null")).unwrap().file_type();
            assert!(kind.is_char_device(), "{arguments:?}");
        }
    }
}

#[test]
fn outputs_are_what_their_names_say() {
    let dir = with_model();
    let dir = dir.path();
    image::GrayImage::new(28, 28).save(dir.join("picture.png")).unwrap();
    for output in ["out.md", "out.rs", "out.h", "out.safetensors", "out.PNG"] {
        let line = refused(dir, &["export", "model.safetensors", "-o", output]);
        assert!(line.contains(output) && line.contains(".mwt"), "{line}");
        assert!(!dir.join(output).exists());
    }
    ok(dir, &["reconstruct", MODEL, "picture.png", "-o", "out.jpg"]);
    assert!(fs::read(dir.join("out.jpg")).unwrap().starts_with(b"\xff\xd8\xff"));
    for arguments in [
        &["reconstruct", MODEL, "picture.png", "-o", "out.xyz"][..],
        &["data", "preview", "--data", "digits", "-o", "out.xyz"],
        &["eval", MODEL, "--data", "digits", "--missing", "0,0.5", "--chart", "out.xyz"],
    ] {
        let line = refused(dir, arguments);
        assert!(line.contains("out.xyz: pictures are written as png"), "{line}");
    }
}

#[test]
fn nothing_is_written_over_what_is_read() {
    let dir = with_model();
    let dir = dir.path();
    fs::copy(MODEL, dir.join("own.mwt")).unwrap();
    fs::copy(dir.join("model.safetensors"), dir.join("twin")).unwrap();
    image::GrayImage::new(28, 28).save(dir.join("picture.png")).unwrap();
    symlink("picture.png", dir.join("other.png")).unwrap();
    for (arguments, kept) in [
        (&["import", "twin", "-o", "twin"][..], "twin"),
        (&["export", "twin", "-o", "twin"], "twin"),
        (&["reconstruct", "own.mwt", "picture.png", "-o", "other.png"], "picture.png"),
        (&["export", "own.mwt", "--emit-rs", "x", "--emit-c", "x"], "own.mwt"),
    ] {
        let before = fs::read(dir.join(kept)).unwrap();
        refused(dir, arguments);
        assert!(fs::read(dir.join(kept)).unwrap() == before, "{arguments:?}");
    }
}

#[test]
fn flags_without_effect_are_errors() {
    let dir = with_model();
    let dir = dir.path();
    for (arguments, flag) in [
        (&["export", MODEL, "-o", "x.mwt", "--quant", "f32"][..], "--quant"),
        (&["export", MODEL, "-o", "x.mwt", "--quant-beta", "f32"], "--quant-beta"),
        (&["export", MODEL, "-o", "x.mwt", "--no-eval"], "--no-eval"),
        (&["export", MODEL, "--emit-rs", "x.rs", "--no-card"], "--no-card"),
        (&["import", "model.safetensors", "-o", "x.safetensors", "--quant", "f16"], "--quant"),
    ] {
        let line = refused(dir, arguments);
        assert!(line.starts_with(&format!("{flag} has no effect: ")), "{line}");
    }
    // --c-name belongs to --emit-c.
    assert_eq!(run(dir, &["export", MODEL, "-o", "x.mwt", "--c-name", "x"]).status.code(), Some(2));
    assert!(!dir.join("x.mwt").exists());
}

/// Two models in one program, in C as old as C99 and in C++, without a warning.
#[test]
fn two_models_live_in_one_program() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let fashion = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/fashion-micro.mwt");
    ok(dir, &["export", MODEL, "--emit-c", "digits.h", "--c-name", "digits"]);
    ok(dir, &["export", fashion, "--emit-c", "clothes.h", "--c-name", "my_clothes"]);
    let program = "#include \"digits.h\"\n#include \"clothes.h\"\n#include <stdio.h>\n\
        int main(void) {\n    printf(\"%s %s %u %u\", digits_labels[7], my_clothes_labels[0],\n           \
        (unsigned)(sizeof digits_bundle + 0 * MY_CLOTHES_WORKSPACE_BYTES), (unsigned)((size_t)my_clothes_bundle % 64));\n    \
        return 0;\n}\n";
    fs::write(dir.join("two.c"), program).unwrap();
    fs::write(dir.join("two.cpp"), program).unwrap();
    let size = fs::metadata(MODEL).unwrap().len();
    for (compiler, standard, source) in [
        ("cc", "-std=c99", "two.c"),
        ("cc", "-std=c11", "two.c"),
        ("cc", "-std=c17", "two.c"),
        ("c++", "-std=c++98", "two.cpp"),
        ("c++", "-std=c++17", "two.cpp"),
    ] {
        let built = Command::new(compiler)
            .args([standard, "-pedantic", "-Wall", "-Wextra", "-Werror", source, "-o", "two"])
            .current_dir(dir)
            .status();
        let Ok(built) = built else {
            println!("skipped: there is no {compiler}");
            continue;
        };
        assert!(built.success(), "{compiler} {standard}");
        let said = Command::new(dir.join("two")).output().unwrap().stdout;
        assert_eq!(String::from_utf8_lossy(&said), format!("7 T-shirt/top {size} 0"));
    }
    for name in ["", "7up", "a-b", "a b", "ä"] {
        let arguments = ["export", MODEL, "--emit-c", "x.h", "--c-name", name];
        assert_eq!(run(dir, &arguments).status.code(), Some(2), "{name}");
    }
}
