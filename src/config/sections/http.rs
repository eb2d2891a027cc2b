//! `[http]`: where a running sink can be watched.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::error::{Error, Result};

/// `[http]`
///
/// For the command line: an application has [`Sink::metrics`](crate::Sink::metrics).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct HttpConfig {
    /// The address and port to listen on; `None`: nothing is served.
    pub listen: Option<String>,
    /// A file that holds the token which a client must send; read again for each request.
    pub token_file: Option<PathBuf>,
    /// Whether clients of other machines need no token.
    pub allow_anonymous: bool,
    /// How long a loop may be overdue before it counts as hanging.
    pub hanging_after: Duration,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self { listen: None, token_file: None, allow_anonymous: false, hanging_after: Duration::from_secs(60) }
    }
}

impl HttpConfig {
    /// `listen` as an address; `None` if nothing is served.
    ///
    /// # Errors
    /// `Config`: it is no address, or another machine could read it without a token.
    pub(crate) fn address(&self) -> Result<Option<SocketAddr>> {
        let Some(listen) = &self.listen else { return Ok(None) };
        let address: SocketAddr = listen.parse().map_err(|_| {
            Error::config(format!("http.listen: {listen:?} is no address with a port"))
                .with_hint("write it as 127.0.0.1:9465, [::1]:9465 or 0.0.0.0:9465")
        })?;
        if !address.ip().is_loopback() && self.token_file.is_none() && !self.allow_anonymous {
            return Err(Error::config(format!("http.listen: other machines may reach {address}, and no token is set"))
                .with_hint(
                    "set http.token_file, or http.allow_anonymous = true where the network keeps strangers away, or listen on 127.0.0.1",
                ));
        }
        Ok(Some(address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listen(listen: &str) -> HttpConfig {
        HttpConfig { listen: Some(listen.into()), ..HttpConfig::default() }
    }

    #[test]
    fn only_loopback_needs_neither_a_token_nor_a_permission() {
        for address in ["127.0.0.1:9465", "127.1.2.3:0", "[::1]:9465"] {
            assert_eq!(listen(address).address().unwrap(), Some(address.parse().unwrap()), "{address}");
        }
        for address in ["0.0.0.0:9465", "192.0.2.1:9465", "[::]:9465"] {
            let error = listen(address).address().unwrap_err();
            assert!(error.hint().unwrap().contains("http.token_file"), "{error}");
            let permitted = HttpConfig { allow_anonymous: true, ..listen(address) };
            assert!(permitted.address().unwrap().is_some());
            let with_token = HttpConfig { token_file: Some("token".into()), ..listen(address) };
            assert!(with_token.address().unwrap().is_some());
        }
        assert_eq!(HttpConfig::default().address().unwrap(), None);
        for bad in ["9465", "localhost", "127.0.0.1", ":9465", "http://127.0.0.1:9465"] {
            assert!(listen(bad).address().unwrap_err().message().contains("http.listen"), "{bad}");
        }
    }
}
