//! The library as other build systems find it: an Arduino library, a Zephyr module, a toolchain file of CMake. What is built
//! runs under QEMU.
#![cfg(unix)]

use std::path::{Path, PathBuf};
use std::process::Command;

const FLAGS: [&str; 4] = ["-mcpu=cortex-m4", "-mthumb", "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard"];

fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A folder of its own.
fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("mwt-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// What a command prints, or `None` where the machine lacks it or something that it names (exit status 3).
fn printed(command: &mut Command) -> Option<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let Ok(output) = command.output() else {
        println!("skipped: there is no {name}");
        return None;
    };
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.code() == Some(3) {
        println!("skipped: {said}");
        return None;
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{command:?}: {text}{said}");
    Some(text)
}

fn on_the_board(program: &Path) -> Option<String> {
    printed(
        Command::new("qemu-system-arm")
            .args(["-M", "mps2-an386", "-nographic", "-semihosting-config"])
            .args(["enable=on,target=native", "-kernel"])
            .arg(program),
    )
}

#[test]
fn an_arduino_sketch_reads_a_digit() {
    let dir = folder("arduino");
    let library = dir.join("MWT");
    // As a board of that processor finds it.
    let archive = "cortex-m4/fpv4-sp-d16-hard";
    let package = printed(
        Command::new(here().join("arduino/package.sh")).arg(&library).env("MWT_ONLY", archive),
    );
    // A sketch is C++ with Arduino.h before it.
    let compile = |source: PathBuf, to: &str| {
        printed(
            Command::new("arm-none-eabi-g++")
                .args(FLAGS)
                .args(["-std=gnu++11", "-Os", "-Wall", "-Wextra", "-Werror", "-fno-exceptions"])
                .args(["-fno-rtti", "-ffunction-sections", "-fdata-sections"])
                .args(["-include", "Arduino.h", "-x", "c++", "-c"])
                .arg(format!("-I{}", here().join("tests/arduino").display()))
                .arg(format!("-I{}", library.join("src").display()))
                .arg(source)
                .arg("-o")
                .arg(dir.join(to)),
        )
    };
    let built = package
        .and_then(|_| compile(library.join("examples/Digits/Digits.ino"), "sketch.o"))
        .and_then(|_| compile(here().join("tests/arduino/main.cpp"), "main.o"))
        .and_then(|_| {
            printed(
                Command::new("arm-none-eabi-gcc")
                    .args(FLAGS)
                    .args(["-Wl,--gc-sections", "-Wl,-z,noexecstack"])
                    .args(["-Wl,--no-warn-rwx-segments", "--specs=rdimon.specs"])
                    .arg(format!("-T{}", here().join("examples/mps2.ld").display()))
                    .args([dir.join("sketch.o"), dir.join("main.o")])
                    .arg(here().join("examples/mps2.c"))
                    .arg(format!("-L{}", library.join("src").join(archive).display()))
                    .args(["-lmwt", "-lc", "-lrdimon", "-o"])
                    .arg(dir.join("sketch.elf")),
            )
        });
    if let Some(said) = built.and_then(|_| on_the_board(&dir.join("sketch.elf"))) {
        assert!(said.contains("self-test passed"), "{said}");
        assert!(said.contains("a seven: 7 with 99."), "{said}");
        assert!(said.contains("with half of its pixels: 7 with"), "{said}");
    }
    std::fs::remove_dir_all(&dir).unwrap();
}

/// PlatformIO's script takes the archive that the compiler's flags tell, and says when there is none.
#[test]
fn platformio_links_the_boards_archive() {
    let dir = folder("platformio");
    let archive = dir.join("src/cortex-m4/fpv4-sp-d16-softfp");
    std::fs::create_dir_all(&archive).unwrap();
    std::fs::write(archive.join("libmwt.a"), "").unwrap();
    let run = |cpu: &str| {
        let scons = format!(
            "class Env(dict):\n    def Flatten(self, flags): return flags\n    def Append(self, **more): print(more)\n    \
             def Exit(self, why): raise SystemExit(why)\nenv = Env(CCFLAGS=['-mcpu={cpu}', '-mfpu=fpv4-sp-d16', \
             '-mfloat-abi=softfp'])\ndef Import(name): pass\nexec(open({:?}).read())\n",
            here().join("arduino/platformio.py")
        );
        Command::new("python3").arg("-c").arg(scons).current_dir(&dir).output()
    };
    if let (Ok(found), Ok(missing)) = (run("cortex-m4"), run("cortex-m3")) {
        let said = String::from_utf8_lossy(&found.stdout).into_owned();
        assert!(said.contains("cortex-m4/fpv4-sp-d16-softfp") && said.contains("'mwt'"), "{said}");
        let said = String::from_utf8_lossy(&missing.stderr).into_owned();
        assert!(!missing.status.success() && said.contains("no library for this board"), "{said}");
    } else {
        println!("skipped: there is no python3");
    }
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn a_zephyr_sample_reads_a_digit() {
    let dir = folder("zephyr");
    let configured = printed(
        Command::new("cmake")
            .arg("-S")
            .arg(here().join("zephyr/samples/digits"))
            .arg("-B")
            .arg(&dir)
            .arg(format!(
                "-DCMAKE_TOOLCHAIN_FILE={}",
                here().join("cmake/cortex-m4f.cmake").display()
            ))
            .arg(format!("-DZephyr_DIR={}", here().join("tests/zephyr").display()))
            .args(["-DCONFIG_MWT=y", "-DCONFIG_MWT_RUST_TARGET=thumbv7em-none-eabihf"]),
    );
    if cross() && configured.is_some() {
        printed(Command::new("cmake").arg("--build").arg(&dir)).expect("cmake is there");
        if let Some(said) = on_the_board(&dir.join("app")) {
            assert!(said.contains("self-test: MWT_STATUS_OK"), "{said}");
            assert!(said.contains("a seven: 7 with 99 %"), "{said}");
        }
    }
    std::fs::remove_dir_all(&dir).unwrap();
}

/// A project of three files finds the library that was installed for its board.
#[test]
fn a_project_with_a_toolchain_file_finds_the_library() {
    let dir = folder("toolchain");
    let sdk = dir.join("sdk");
    let installed =
        printed(Command::new(here().join("install.sh")).arg(&sdk).arg("thumbv7em-none-eabihf"));
    if cross() && installed.is_some() {
        let mps2 = here().join("examples");
        std::fs::copy(here().join("cmake/cortex-m4f.cmake"), dir.join("board.cmake")).unwrap();
        std::fs::write(
            dir.join("CMakeLists.txt"),
            format!(
                "cmake_minimum_required(VERSION 3.15)\nproject(program C)\nfind_package(mwt 0.1 REQUIRED)\n\
                 add_executable(program main.c {0}/mps2.c)\ntarget_link_libraries(program PRIVATE mwt::mwt)\n\
                 target_link_options(program PRIVATE -T{0}/mps2.ld --specs=rdimon.specs -Wl,--no-warn-rwx-segments)\n",
                mps2.display()
            ),
        )
        .unwrap();
        std::fs::write(
            dir.join("main.c"),
            "#include <mwt.h>\n#include <stdio.h>\nint main(void) {\n    size_t size = 0;\n    \
             puts(mwt_status_name(mwt_workspace_bytes((const uint8_t *)\"no\", 2, &size)));\n    return 0;\n}\n",
        )
        .unwrap();
        let cmake =
            |arguments: &[&str]| printed(Command::new("cmake").args(arguments).current_dir(&dir));
        let prefix = format!("-DCMAKE_PREFIX_PATH={}", sdk.display());
        if cmake(&["-B", "build", "-DCMAKE_TOOLCHAIN_FILE=board.cmake", &prefix]).is_some() {
            cmake(&["--build", "build"]).expect("cmake is there");
            if let Some(said) = on_the_board(&dir.join("build/program")) {
                assert_eq!(said.trim(), "MWT_STATUS_BUNDLE");
            }
        }
    }
    std::fs::remove_dir_all(&dir).unwrap();
}

/// Is there a compiler for the board, with its library?
fn cross() -> bool {
    let there = Command::new("arm-none-eabi-gcc").arg("--version").output().is_ok();
    if !there {
        println!("skipped: there is no arm-none-eabi-gcc");
    }
    there
}

/// The layouts name the version of the crate.
#[test]
fn one_version() {
    let version = env!("CARGO_PKG_VERSION");
    assert!(
        include_str!("../arduino/library.properties").contains(&format!("version={version}\n"))
    );
    assert!(
        include_str!("../arduino/library.json").contains(&format!("\"version\": \"{version}\""))
    );
}
