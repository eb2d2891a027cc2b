//! The document, put together from its parts, and the policy that lets nothing else run or load.
//!
//! Style and scripts are in the document: one answer is the whole page, its parts are of one version, and a token is asked for once. The
//! policy names them by their hashes, so that no other script runs, not even one from this server.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha2::{Digest, Sha256};

const DOCUMENT: &str = include_str!("page.html");
const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = concat!(include_str!("plots.js"), "\n", include_str!("page.js"));
pub(in crate::cli::run::http) const ICON: &str = include_str!("icon.svg");

static PAGE: LazyLock<String> = LazyLock::new(|| DOCUMENT.replace("/*style*/", STYLE).replace("/*script*/", SCRIPT));

static POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = |text: &str| BASE64.encode(Sha256::digest(text));
    format!(
        "default-src 'self'; script-src 'sha256-{}'; style-src 'sha256-{}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        hash(SCRIPT),
        hash(STYLE)
    )
});

pub(in crate::cli::run::http) fn page() -> &'static str {
    &PAGE
}

/// Its `Content-Security-Policy`.
pub(in crate::cli::run::http) fn policy() -> &'static str {
    &POLICY
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_is_whole_and_needs_no_other_origin() {
        assert!(page().contains(STYLE) && page().contains(SCRIPT));
        for (text, end) in [(STYLE, "</style"), (SCRIPT, "</script")] {
            assert!(!text.contains(end), "{end}");
        }
        let without_names = page().replace("http://www.w3.org/2000/svg", "");
        for foreign in ["http:", "https:", "src=", "@import", "url(", "innerHTML", "style=", " onclick"] {
            assert!(!without_names.contains(foreign), "{foreign}");
        }
    }
}
