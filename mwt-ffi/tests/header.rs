//! The checked-in header is the one that cbindgen writes. `MWT_BLESS=1 cargo test` writes it.

use std::path::Path;

#[test]
fn the_header_is_current() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = cbindgen::Config::from_file(here.join("cbindgen.toml")).expect("cbindgen.toml");
    let bindings = cbindgen::Builder::new()
        .with_config(config)
        .with_src(here.join("src/lib.rs"))
        .generate()
        .expect("src/lib.rs");
    let mut written = Vec::new();
    bindings.write(&mut written);
    let path = here.join("include/mwt.h");
    if std::env::var_os("MWT_BLESS").is_some() {
        std::fs::create_dir_all(here.join("include")).expect("include");
        std::fs::write(&path, &written).expect("include/mwt.h");
    }
    let header = std::fs::read(&path).expect("include/mwt.h");
    assert!(header == written, "include/mwt.h is out of date: run MWT_BLESS=1 cargo test");
}
