//! Secrets that no text of a server may show.

use std::fmt;

use crate::config::Secret;
use crate::net::server_text::shown;

/// A shorter value is found in any text by chance, and hides nothing that could not be guessed.
const BYTES_MIN: usize = 4;

/// The secrets to hide.
#[derive(Default)]
pub(crate) struct Masks(Vec<Secret>);

impl Masks {
    pub(crate) fn new<S: Into<Secret>>(secrets: impl IntoIterator<Item = S>) -> Self {
        let mut masks = Self::default();
        secrets.into_iter().for_each(|secret| masks.add(secret.into().expose()));
        masks
    }

    pub(crate) fn add(&mut self, secret: &str) {
        if secret.len() < BYTES_MIN {
            return;
        }
        self.0.push(secret.into());
        // Of `Bearer …`, a server may send the second part alone.
        match secret.split_once(' ') {
            Some((scheme, credentials)) if scheme.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
                self.add(credentials);
            }
            _ => {}
        }
    }

    /// The text on one harmless line, with `***` in place of each secret, cut after `chars_max` characters.
    pub(crate) fn show(&self, text: &[u8], chars_max: usize) -> String {
        let mut secrets: Vec<&str> = self.0.iter().map(Secret::expose).collect();
        // A secret may be a part of another one.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        shown(text, &secrets, chars_max)
    }
}

impl fmt::Debug for Masks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Masks").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_hidden_however_a_server_repeats_it() {
        let mut masks = Masks::new(["hunter2 \"&ü", "Bearer abcd-efgh", "t1", "hunter2"]);
        masks.add("t0ken");
        let check = |text: &str, expected: &str| assert_eq!(masks.show(text.as_bytes(), usize::MAX), expected);
        check("a hunter2 \"&ü b", "a *** b");
        check("a=hunter2+%22%26%C3%BC&b", "a=***&b");
        check(r#"{"a":"hunter2 \"&ü"}"#, r#"{"a":"***"}"#);
        check(r#"{"a":"hunter2 \"&\u00fc"}"#, r#"{"a":"***"}"#);
        check(r#"{"a":"{\"b\":\"hunter2 \\\"&ü\"}"}"#, r#"{"a":"{\"b\":\"***\"}"}"#);
        check("Bearer abcd-efgh, abcd-efgh", "***, ***");
        check("the tenant t1 has t0ken", "the tenant t1 has ***");
        check("hunter22", "***2");
        check("\x1b[31mt0ken\n", "\\u{1b}[31m***");
    }
}
