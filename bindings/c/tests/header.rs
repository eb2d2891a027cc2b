//! `include/cxsink.h` is what cbindgen makes of the sources, with the version of the package.
//!
//! The header is committed, so that a C program needs no Rust tools to read it; this test keeps it true.
//! `CXSINK_UPDATE=1 cargo test -p cxsink-c --test header` (or `make header`) writes it anew.

#![expect(clippy::unwrap_used, reason = "a test fails there")]

use std::{env, fs, path::Path};

const CRATE: &str = env!("CARGO_MANIFEST_DIR");

/// The version as macros. C code compares them at compile time, so they must be plain numbers.
fn version_macros() -> String {
    format!(
        "\n/* The version of this header. */\n\
         #define CXSINK_VERSION_MAJOR {major}\n\
         #define CXSINK_VERSION_MINOR {minor}\n\
         #define CXSINK_VERSION_PATCH {patch}\n\
         #define CXSINK_VERSION_STRING \"{version}\"\n\
         #define CXSINK_VERSION_NUMBER \\\n    \
             (CXSINK_VERSION_MAJOR * 1000000 + CXSINK_VERSION_MINOR * 1000 + CXSINK_VERSION_PATCH)\n\
         \n\
         /* True when the library that is loaded serves this header. Call it before anything else. */\n\
         #define CXSINK_CHECK_VERSION() cxsink_check_version(CXSINK_VERSION_NUMBER)\n",
        major = env!("CARGO_PKG_VERSION_MAJOR"),
        minor = env!("CARGO_PKG_VERSION_MINOR"),
        patch = env!("CARGO_PKG_VERSION_PATCH"),
        version = env!("CARGO_PKG_VERSION"),
    )
}

fn generated() -> String {
    let mut config = cbindgen::Config::from_file(Path::new(CRATE).join("cbindgen.toml")).unwrap();
    config.after_includes = Some(version_macros());
    let bindings = cbindgen::Builder::new().with_crate(CRATE).with_config(config).generate().unwrap();
    let mut header = Vec::new();
    bindings.write(&mut header);
    String::from_utf8(header).unwrap()
}

#[test]
fn the_committed_header_is_the_generated_one() {
    let path = Path::new(CRATE).join("../../include/cxsink.h");
    let expected = generated();
    if env::var_os("CXSINK_UPDATE").is_some() {
        fs::write(&path, &expected).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == expected, "include/cxsink.h is stale: run `make header`. It should read:\n{expected}");
}
