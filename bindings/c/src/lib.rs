//! The C ABI of cxsink: `libcxsink`, declared in `include/cxsink.h`.
//!
//! It translates between C values and the public API of the crate `cxsink`; it decides nothing. This is
//! the only crate with `#[unsafe(no_mangle)]`: symbols in the core would leak into every other binding.
//! `include/cxsink.h` is made from this file by cbindgen; `tests/header.rs` fails when it is stale.

// A panic must become a status at the boundary, and under `abort` nothing can catch it. (Building the
// tests with `-C panic=abort` is refused as well, for the same reason.)
#[cfg(panic = "abort")]
compile_error!("libcxsink catches panics at its boundary: build it with panic = \"unwind\"");

mod version;

pub use version::{cxsink_check_version, cxsink_version_number, cxsink_version_string};
