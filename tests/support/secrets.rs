//! Secrets that a test can look for, and the looking.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

/// Pieces of this length count as the secret: a text may be cut, or shown in rows.
const PIECE: usize = 10;

/// Texts that may appear nowhere.
#[derive(Default)]
pub struct Needles(Vec<(String, String)>);

impl Needles {
    /// A new secret. Its letters stay as they are in URLs, forms and JSON; the characters behind them do not.
    pub fn invent(&mut self, name: &str) -> String {
        let letters: String = std::iter::repeat_with(fastrand::alphanumeric).take(32).collect();
        let secret = format!("{letters}&p@:/ %\"ü");
        self.add(name, &letters);
        secret
    }

    pub fn add(&mut self, name: &str, secret: &str) {
        assert!(secret.len() >= PIECE, "{name} is too short to look for");
        self.0.push((name.into(), secret.into()));
    }

    /// As a proxy gets them (RFC 7617).
    pub fn add_basic(&mut self, name: &str, user: &str, password: &str) {
        self.add(name, &BASE64.encode(format!("{user}:{password}")));
    }

    /// Fails if any piece of any of them is in the text.
    #[track_caller]
    pub fn assert_none_in(&self, what: &str, text: &[u8]) {
        let text = String::from_utf8_lossy(text);
        for (name, secret) in &self.0 {
            for start in 0..=secret.len() - PIECE {
                let piece = &secret[start..start + PIECE];
                if let Some(at) = text.find(piece) {
                    let line = text[..at].rfind('\n').map_or(0, |at| at + 1);
                    let end = text[at..].find('\n').map_or(text.len(), |end| at + end);
                    panic!("{what} shows the {name}: {}", text[line..end].chars().take(500).collect::<String>());
                }
            }
        }
    }
}
