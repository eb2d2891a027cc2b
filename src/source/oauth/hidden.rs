//! Secrets in a request that a library must not see.

use crate::config::Secret;
use crate::net::server_text::spellings;

/// A shorter secret would be found in a head by chance.
const ECHO_BYTES_MIN: usize = 8;

/// A secret in a request.
pub(crate) struct Hidden {
    /// The text in front of it, by which its place in the request is found.
    before: &'static str,
    secret: Secret,
    /// The texts by which a server may send it back.
    echoes: Vec<Secret>,
    is_sent: bool,
}

impl Hidden {
    /// `secret` is encoded for the request and may hold more than one of the `plain` ones, which are not.
    pub(crate) fn new(before: &'static str, secret: impl Into<Secret>, plain: &[&str]) -> Self {
        let secret = secret.into();
        let mut echoes: Vec<_> = plain.iter().flat_map(|plain| spellings(plain)).map(Secret::from).collect();
        echoes.push(secret.clone());
        let is_telling = |echo: &str| echo.len() >= ECHO_BYTES_MIN && echo.bytes().any(|byte| byte != b'*');
        echoes.retain(|echo| is_telling(echo.expose()));
        Self { before, secret, echoes, is_sent: false }
    }

    /// The text in the request in place of the secret.
    pub(crate) fn placeholder(&self) -> String {
        "*".repeat(self.secret.expose().len())
    }

    /// Puts the secret into `request` if its placeholder is there.
    pub(super) fn reveal_in(&mut self, request: &mut [u8]) {
        if self.is_sent {
            return;
        }
        let secret = self.secret.expose().as_bytes();
        let placeholder = format!("{}{}", self.before, self.placeholder());
        if let Some(place) = find(placeholder.as_bytes(), request) {
            request[place + self.before.len()..][..secret.len()].copy_from_slice(secret);
            self.is_sent = true;
        }
    }

    /// Whether [`reveal_in`](Self::reveal_in) found the placeholder.
    pub(super) fn is_sent(&self) -> bool {
        self.is_sent
    }

    /// Puts asterisks in place of the secret.
    pub(super) fn conceal_in(&self, head: &mut [u8]) {
        for echo in &self.echoes {
            let echo = echo.expose().as_bytes();
            while let Some(place) = find(echo, head) {
                head[place..][..echo.len()].fill(b'*');
            }
        }
    }
}

fn find(wanted: &[u8], bytes: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_placeholder_is_found_by_the_text_in_front_of_it() {
        let check = |request: &str, before, secret: &str, expected: &str| {
            let mut hidden = Hidden::new(before, secret.to_owned(), &[secret]);
            let mut request = request.as_bytes().to_vec();
            hidden.reveal_in(&mut request);
            assert_eq!(
                (String::from_utf8(request).unwrap().as_str(), hidden.is_sent),
                (expected, expected.contains(secret))
            );
        };
        check("a=*&client_secret=*&b=*", "client_secret=", "x", "a=*&client_secret=x&b=*");
        check("client_secret=**", "client_secret=", "xyz", "client_secret=**");
    }
}
