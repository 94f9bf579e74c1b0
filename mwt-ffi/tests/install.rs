//! The library as a C program finds it: installed, through pkg-config and CMake.
#![cfg(unix)]

use std::path::Path;
use std::process::{Command, Output};

/// The output of a program that does its work, or `None` where it is not installed.
fn done(command: &mut Command) -> Option<Output> {
    let name = command.get_program().to_string_lossy().into_owned();
    let Ok(output) = command.output() else {
        println!("skipped: there is no {name}");
        return None;
    };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
    Some(output)
}

/// What the example prints for an image of zeros.
fn classifies(program: &Path, image: &Path) {
    let model = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/mnist-micro.mwt");
    let output = done(Command::new(program).arg(model).arg(image)).unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("workspace 40960 bytes") && said.contains("image 0 class"), "{said}");
}

#[test]
fn a_program_finds_the_installed_library() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let dir = std::env::temp_dir().join(format!("mwt-install-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    done(Command::new(here.join("install.sh")).arg(dir.join("built"))).unwrap();
    // It may be moved.
    let prefix = dir.join("moved");
    std::fs::rename(dir.join("built"), &prefix).unwrap();
    let image = dir.join("image.raw");
    std::fs::write(&image, [0; 28 * 28]).unwrap();
    let example = here.join("examples/classify.c");

    let flags = done(
        Command::new("pkg-config")
            .args(["--cflags", "--libs", "mwt"])
            .env("PKG_CONFIG_PATH", prefix.join("lib/pkgconfig")),
    );
    if let Some(flags) = flags {
        let flags = String::from_utf8(flags.stdout).unwrap();
        let program = dir.join("with-pkg-config");
        let built = done(
            Command::new("cc")
                .args(["-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror"])
                .arg(&example)
                .args(flags.split_whitespace())
                .arg("-o")
                .arg(&program),
        );
        if built.is_some() {
            classifies(&program, &image);
        }
    }

    std::fs::write(
        dir.join("CMakeLists.txt"),
        format!(
            "cmake_minimum_required(VERSION 3.15)\nproject(example C)\nfind_package(mwt 0.1 REQUIRED)\n\
             add_executable(example {})\ntarget_link_libraries(example PRIVATE mwt::mwt)\n",
            example.display()
        ),
    )
    .unwrap();
    let build = dir.join("build");
    let configured = done(
        Command::new("cmake")
            .arg("-S")
            .arg(&dir)
            .arg("-B")
            .arg(&build)
            .arg(format!("-DCMAKE_PREFIX_PATH={}", prefix.display())),
    );
    if configured.is_some() {
        done(Command::new("cmake").arg("--build").arg(&build)).unwrap();
        classifies(&build.join("example"), &image);
    }
    std::fs::remove_dir_all(&dir).unwrap();
}

/// For a board: a program that calls everything links without `mwt_abort`, and with it where nothing is left out.
#[test]
fn a_board_finds_it_too() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let dir = std::env::temp_dir().join(format!("mwt-board-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let install = Command::new(here.join("install.sh"))
        .arg(dir.join("sdk"))
        .arg("thumbv7em-none-eabihf")
        .output()
        .unwrap();
    if install.status.code() == Some(3) {
        println!("skipped: {}", String::from_utf8_lossy(&install.stderr));
        return;
    }
    assert!(install.status.success(), "{}", String::from_utf8_lossy(&install.stderr));
    let program = "#include \"mwt.h\"\n\
        static float workspace[12000];\nvolatile mwt_status status;\n\
        int main(void) {\n    static const uint8_t bytes[4];\n    mwt_prediction best;\n    \
        status = mwt_self_test(bytes, 4, workspace, sizeof workspace);\n    \
        status = mwt_classify(bytes, 4, workspace, sizeof workspace, bytes, 4, &best, 0, 0);\n    \
        return (int)status;\n}\nvoid _exit(int status) { (void)status; for (;;) {} }\n";
    std::fs::write(dir.join("main.c"), program).unwrap();
    std::fs::write(dir.join("abort.c"), "void mwt_abort(void) { for (;;) {} }\n").unwrap();
    let link = |more: &[&str]| {
        let mut gcc = Command::new("arm-none-eabi-gcc");
        gcc.args(["-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"])
            .args(["-O2", "-Wall", "-Wextra", "-Isdk/include", "-nostartfiles", "-Wl,--entry=main"])
            .args(["main.c", "sdk/lib/libmwt.a", "-o", "main.elf"])
            .args(more)
            .current_dir(&dir);
        done(&mut gcc)
    };
    if link(&["-Wl,--gc-sections"]).is_some() {
        link(&["-Wl,--no-gc-sections", "abort.c"]).unwrap();
    }
    std::fs::remove_dir_all(&dir).unwrap();
}

/// The files that name the version name that of the crate.
#[test]
fn one_version() {
    for text in [include_str!("../cmake/mwt.pc"), include_str!("../cmake/mwt-config-version.cmake")]
    {
        assert!(text.contains(env!("CARGO_PKG_VERSION")), "{text}");
    }
}

/// The header needs stddef.h and stdint.h alone, which every compiler brings without a library, and is C99 and C++11.
#[test]
fn the_header_needs_no_library() {
    let header = Path::new(env!("CARGO_MANIFEST_DIR")).join("include/mwt.h");
    for (compiler, standard, language) in
        [("cc", "-std=c99", "c"), ("cc", "-std=c17", "c"), ("c++", "-std=c++11", "c++")]
    {
        done(
            Command::new(compiler)
                .args([standard, "-ffreestanding", "-pedantic", "-Wall"])
                .args(["-Wextra", "-Werror", "-Wno-long-long", "-fsyntax-only", "-x", language])
                .arg(&header),
        );
    }
    let text = std::fs::read_to_string(header).unwrap();
    let includes: Vec<_> = text.lines().filter(|line| line.starts_with("#include")).collect();
    assert_eq!(includes, ["#include <stddef.h>", "#include <stdint.h>"]);
}
