//! The headers are those that cbindgen makes of the sources, with the version of the package.
//!
//! They are committed, so that a C program needs no Rust tools; this test keeps them current.
//! `CXSINK_UPDATE=1 cargo test -p cxsink-c --test header` (or `make header`) writes them again.

#![expect(clippy::unwrap_used, reason = "a test fails there")]

use std::{env, fs, path::Path};

use cbindgen::{Builder, Config};

const CRATE: &str = env!("CARGO_MANIFEST_DIR");

/// The macros of the header.
fn macros() -> String {
    format!(
        "\n/* The version of this header. */\n\
         #define CXSINK_VERSION_MAJOR {major}\n\
         #define CXSINK_VERSION_MINOR {minor}\n\
         #define CXSINK_VERSION_PATCH {patch}\n\
         #define CXSINK_VERSION_STRING \"{version}\"\n\
         #define CXSINK_VERSION_NUMBER \\\n    \
             (CXSINK_VERSION_MAJOR * 1000000 + CXSINK_VERSION_MINOR * 1000 + CXSINK_VERSION_PATCH)\n\
         \n\
         /* True if the loaded library serves this header. Call it before anything else. */\n\
         #define CXSINK_CHECK_VERSION() cxsink_check_version(CXSINK_VERSION_NUMBER)\n\
         \n\
         /* A timeout_ms that waits without limit. */\n\
         #define CXSINK_FOREVER (-1)\n\
         \n\
         /* A count that selects every dead letter. */\n\
         #define CXSINK_ALL SIZE_MAX\n",
        major = env!("CARGO_PKG_VERSION_MAJOR"),
        minor = env!("CARGO_PKG_VERSION_MINOR"),
        patch = env!("CARGO_PKG_VERSION_PATCH"),
        version = env!("CARGO_PKG_VERSION"),
    )
}

const MADE_BY: &str = " * Made by cbindgen from bindings/c/src; edit that, then run `make header`.\n */";

const MAIN: &str = "/*
 * cxsink: reads interaction events from a NICE CXone Data Actions stream, validates them and upserts them into
 * a database. This is its C interface; docs/c.md is the guide.
 *
 *     cxsink_config *config = cxsink_config_new();
 *     cxsink_sink *sink = NULL;
 *     cxsink_notice *notice = NULL;
 *     if (cxsink_config_load(config, \"cxsink.toml\", NULL) == CXSINK_STATUS_OK
 *         && cxsink_sink_open(config, &sink, NULL) == CXSINK_STATUS_OK
 *         && cxsink_sink_start(sink, NULL) == CXSINK_STATUS_OK)
 *         while (cxsink_sink_poll(sink, CXSINK_FOREVER, &notice, NULL) == CXSINK_STATUS_OK) {
 *             puts(cxsink_notice_json(notice, NULL));
 *             cxsink_notice_free(&notice);
 *         }
 *     cxsink_sink_free(&sink);
 *     cxsink_config_free(&config);
 *
 * Rules of every function:
 *
 * - Status. Most functions return a cxsink_status, with the details in *err; err may be NULL. Every call first sets *out
 *   and *err to NULL.
 * - Ownership. The caller owns *out and *err: free each by the function of its type. That takes the address of the
 *   variable, accepts NULL, and sets the variable to NULL. A returned const char * belongs to the object that it came
 *   from, and lives as long as it; never free it. Arguments are copied.
 * - NULL for a required handle, text or result is CXSINK_STATUS_INVALID_ARGUMENT, never a crash.
 * - Text is UTF-8 and ends with a NUL character.
 * - Numbers of an enumeration are passed as uint32_t, and are never reused.
 * - The library prints nothing and installs no signal handler. A bug in cxsink that would end a Rust program becomes
 *   CXSINK_STATUS_PANIC, or a sink that ends as failed.
 * - After fork(), the child cannot use handles of its parent: the status is CXSINK_STATUS_FORKED.
 *
";

const SIMULATOR: &str = "/*
 * A local stand-in for CXone in libcxsink, to test an integration without an account: token endpoint and stream on
 * one loopback port, with faults on demand.
 *
 *     cxsink_simulator *cxone = cxsink_simulator_new();
 *     cxsink_simulator_set(cxone, \"events\", \"1000\", NULL);
 *     cxsink_simulator_start(cxone, NULL);
 *     cxsink_simulator_configure(cxone, config, NULL);
 *     ... open and start a sink with config ...
 *     cxsink_simulator_wait_finished(cxone, 10000, NULL);
 *     cxsink_simulator_free(&cxone);
 *
";

fn simulator_functions() -> Vec<String> {
    let source = fs::read_to_string(Path::new(CRATE).join("src/simulator.rs")).unwrap();
    let names = source.split("extern \"C\" fn ").skip(1);
    names.map(|rest| rest.split('(').next().unwrap().to_owned()).collect()
}

fn config(guard: &str, head: &str) -> Config {
    let mut config = Config::from_file(Path::new(CRATE).join("cbindgen.toml")).unwrap();
    config.include_guard = Some(guard.into());
    config.header = Some(format!("{head}{MADE_BY}"));
    config
}

fn written(builder: Builder) -> String {
    let mut header = Vec::new();
    builder.generate().unwrap().write(&mut header);
    String::from_utf8(header).unwrap()
}

fn main_header() -> String {
    let mut config = config("CXSINK_H", MAIN);
    config.sys_includes = ["stdbool.h", "stddef.h", "stdint.h"].map(Into::into).into();
    config.after_includes = Some(macros());
    config.export.exclude = simulator_functions();
    config.export.exclude.push("SimulatorHandle".into());
    written(Builder::new().with_crate(CRATE).with_config(config))
}

fn simulator_header() -> String {
    let mut config = config("CXSINK_SIMULATOR_H", SIMULATOR);
    config.includes = vec!["cxsink.h".into()];
    config.export.include = Vec::new();
    written(Builder::new().with_src(Path::new(CRATE).join("src/simulator.rs")).with_config(config))
}

fn check(name: &str, expected: &str) {
    let path = Path::new(CRATE).join("../../include").join(name);
    if env::var_os("CXSINK_UPDATE").is_some() {
        fs::write(&path, expected).unwrap();
    }
    assert!(expected.is_ascii(), "{name}: not every compiler takes other characters");
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == expected, "include/{name} is stale: run `make header`. It should read:\n{expected}");
}

#[test]
fn the_committed_header_is_the_generated_one() {
    check("cxsink.h", &main_header());
}

#[test]
fn the_committed_header_of_the_simulator_is_the_generated_one() {
    check("cxsink_simulator.h", &simulator_header());
}

#[test]
fn every_function_documents_ownership_blocking_threads_and_errors() {
    let mut checked = 0;
    for header in [main_header(), simulator_header()] {
        for comment in header.split("/**").skip(1) {
            let (comment, declared) = comment.split_once("*/").unwrap();
            let declared = declared.trim_start().split(';').next().unwrap();
            if declared.starts_with("typedef")
                || declared.starts_with("enum")
                || !declared.contains("cxsink_")
                || !declared.contains('(')
            {
                continue;
            }
            checked += 1;
            for part in ["Ownership: ", "Blocks: ", "Threads: ", "Errors: "] {
                assert!(comment.contains(part), "{declared}: the comment has no {part:?}");
            }
        }
    }
    assert!(checked > 50, "{checked} functions");
}
