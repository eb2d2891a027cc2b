//! The C ABI of cxsink: `libcxsink`, declared in `include/cxsink.h` and `include/cxsink_simulator.h`.
//!
//! It translates between C values and the public API of the crate `cxsink`, and decides nothing. This is the only crate with
//! `#[unsafe(no_mangle)]`: symbols in the core would leak into every other binding. cbindgen makes the headers from these files;
//! `tests/header.rs` fails when they are stale.
//!
//! `boundary` holds the rules of every call: pointers, panics, forks and log callbacks. A function of the ABI is a line or two
//! between them and the core.

#![expect(clippy::doc_markdown, reason = "the documentation becomes that of the C headers, which is no Markdown")]
#![expect(
    clippy::missing_safety_doc,
    reason = "the contract of every function is that of C, and its documentation states it: pointers are NULL or come from \
              this library and are not freed yet, text ends with NUL, and a length is true"
)]

// A panic must become a status at the boundary; with `abort`, nothing can catch it.
#[cfg(panic = "abort")]
compile_error!("libcxsink catches panics at its boundary: build it with panic = \"unwind\"");

// The headers list the functions in the order of these lines.
mod version;

mod names;

mod error;

mod buffer;

mod config;

mod sink;

mod notice;

mod dead_letters;

mod connections;

mod table;

mod validator;

mod check;

mod simulator;

// Not in the headers.
mod boundary;
mod logging;
#[cfg(test)]
mod tests;

pub use logging::{FreeUserData, LogCallback};
pub use {
    buffer::*, check::*, config::*, connections::*, dead_letters::*, error::*, names::*, notice::*, simulator::*,
    sink::*, table::*, validator::*, version::*,
};
