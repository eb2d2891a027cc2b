//! The version of the library, and whether it serves the header that a program was compiled with.
//!
//! A program is linked with one version and may load another at run time. It calls these functions before anything else. None of
//! them can panic, so none needs a guard.

use std::ffi::{CStr, c_char};

/// The version of this library as one number, like `CXSINK_VERSION_NUMBER` of the header.
const NUMBER: u32 = number(
    decimal(env!("CARGO_PKG_VERSION_MAJOR")),
    decimal(env!("CARGO_PKG_VERSION_MINOR")),
    decimal(env!("CARGO_PKG_VERSION_PATCH")),
);

/// The version of this library as C sees it.
const STRING: &CStr = match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
    Ok(version) => version,
    Err(_) => panic!("a version holds no NUL character"),
};

/// The version of the library as one number: major * 1000000 + minor * 1000 + patch, so 1.2.3 is 1002003.
///
/// Ownership: none. Blocks: never. Threads: any. Errors: none.
#[unsafe(no_mangle)]
pub extern "C" fn cxsink_version_number() -> u32 {
    NUMBER
}

/// The version of the library as text, for example "1.2.3".
///
/// Ownership: the text belongs to the library and lives as long as it is loaded; do not free it.
/// Blocks: never. Threads: any. Errors: none.
#[unsafe(no_mangle)]
pub extern "C" fn cxsink_version_string() -> *const c_char {
    STRING.as_ptr()
}

/// Whether this library serves a program that was compiled with the header of version `header_number`
/// (see `CXSINK_CHECK_VERSION`, which passes its own). It does when both are of one series, which is the
/// major version (before 1.0 the minor version as well), and the library is not the older of the two.
///
/// Ownership: none. Blocks: never. Threads: any. Errors: none.
#[unsafe(no_mangle)]
pub extern "C" fn cxsink_check_version(header_number: u32) -> bool {
    serves(NUMBER, header_number)
}

/// Whether a library of version `library` has everything that a header of version `header` declares, unchanged.
fn serves(library: u32, header: u32) -> bool {
    series(library) == series(header) && library >= header
}

/// Versions of one series keep the ABI: what they have in common is also in the SONAME (`build.rs`).
fn series(number: u32) -> (u32, u32) {
    match number / 1_000_000 {
        0 => (0, number / 1_000),
        major => (major, 0),
    }
}

const fn number(major: u32, minor: u32, patch: u32) -> u32 {
    assert!(minor < 1_000 && patch < 1_000, "each part of the version has three digits at most");
    major * 1_000_000 + minor * 1_000 + patch
}

/// Cargo gives the parts of the version as text; `str::parse` cannot run while compiling.
const fn decimal(text: &str) -> u32 {
    let digits = text.as_bytes();
    let (mut value, mut at) = (0, 0);
    while at < digits.len() {
        assert!(digits[at].is_ascii_digit(), "a part of the version is a decimal number");
        value = value * 10 + (digits[at] - b'0') as u32;
        at += 1;
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_one_number_that_sorts_as_versions_do() {
        assert_eq!(number(0, 1, 0), 1_000);
        assert_eq!(number(1, 2, 3), 1_002_003);
        assert_eq!(number(decimal("12"), decimal("0"), decimal("345")), 12_000_345);
    }

    #[test]
    fn the_number_and_the_text_are_one_version() {
        let text = STRING.to_str().unwrap_or_default();
        let parts: Vec<u32> = text.split(['.', '-', '+']).take(3).map(decimal).collect();
        assert_eq!(NUMBER, number(parts[0], parts[1], parts[2]));
        assert_eq!(text, env!("CARGO_PKG_VERSION"));
    }

    #[test]
    fn a_library_serves_headers_of_its_series_that_are_not_newer() {
        let check = |library: (u32, u32, u32), header: (u32, u32, u32), expected: bool| {
            let served = serves(number(library.0, library.1, library.2), number(header.0, header.1, header.2));
            assert_eq!(served, expected, "library {library:?}, header {header:?}");
        };
        check((0, 1, 0), (0, 1, 0), true);
        check((0, 1, 2), (0, 1, 1), true);
        check((0, 1, 1), (0, 1, 2), false);
        check((0, 2, 0), (0, 1, 9), false);
        check((1, 2, 0), (1, 1, 9), true);
        check((1, 1, 9), (1, 2, 0), false);
        check((2, 0, 0), (1, 9, 9), false);
        check((1, 0, 0), (0, 999, 999), false);
    }
}
