//! Gives the shared library its SONAME: cargo sets none, and without one a program records the bare
//! file name `libcxsink.so` and takes whatever version it finds at run time. It also prevents unloading.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
        let major = env::var("CARGO_PKG_VERSION_MAJOR").unwrap_or_default();
        let minor = env::var("CARGO_PKG_VERSION_MINOR").unwrap_or_default();
        // Before 1.0 a minor version may break the ABI, so it is part of the name.
        let series = if major == "0" { format!("0.{minor}") } else { major };
        println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libcxsink.so.{series}");
        // A plugin that uses the library may be unloaded; threads of ours and what they clean up at their end may not.
        println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
}
