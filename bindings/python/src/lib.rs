//! The native module `cxsink._cxsink`: what Python cannot do itself, and nothing else.
//!
//! It translates between Python values and the public API of the crate `cxsink`; it decides nothing. What
//! Python can say as well (exceptions, data classes, the console script) is in `python/cxsink`.

use pyo3::prelude::*;

/// The native part of cxsink. Import `cxsink` instead: names here may change without notice.
#[pymodule]
mod _cxsink {
    /// The version of the library, which is the version of the package.
    #[pymodule_export]
    #[expect(non_upper_case_globals, reason = "the name is Python's")]
    const __version__: &str = env!("CARGO_PKG_VERSION");
}
