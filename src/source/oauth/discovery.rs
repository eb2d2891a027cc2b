//! The token endpoint that an issuer names (the specification "Connect Discovery" of the `OpenID` foundation, section 4).
//!
//! The document decides where the secrets go. So it must come from the issuer itself, over TLS unless it is this machine; no redirect is
//! followed; and what it names obeys the rule of `oauth.url`.

use std::sync::{Arc, Mutex};

use ureq::http::{Request, header};

use crate::config::Config;
use crate::config::url::{EndpointUrl, Schemes};
use crate::error::{Class, Error, ErrorKind, Result};
use crate::net::masks::Masks;
use crate::net::server_text::shown;
use crate::source::net::address::Purpose;
use crate::source::net::failure::{later_hint, refusal};
use crate::source::net::route::Route;
use crate::source::oauth::call::{DISCOVERY, Limits};
use crate::source::oauth::exchange::Exchanged;
use crate::source::oauth::response::{RequestedWait, TokenFailure};
use crate::threads::sync;

/// How much of an error's body is shown.
const BODY_CHARS_SHOWN: usize = 300;

/// An issuer, and the token endpoint that it named.
pub(super) struct Discovery {
    /// Without a slash at its end.
    issuer: String,
    document: Route,
    found: Mutex<Option<Arc<Route>>>,
}

impl Discovery {
    /// Checks the configuration; connects to nothing.
    pub(super) fn new(issuer: &str, config: &Config) -> Result<Self> {
        let issuer = issuer.trim_end_matches('/').to_owned();
        let url = format!("{issuer}/.well-known/openid-configuration");
        Ok(Self { document: Route::new(Purpose::Discovery, &url, config)?, issuer, found: Mutex::default() })
    }

    /// The token endpoint; fetches the issuer's document if it is not known. `wait` is the wait that a response requests.
    pub(super) fn endpoint(
        &self,
        limits: Limits<'_>,
        wait: RequestedWait<'_>,
    ) -> std::result::Result<Arc<Route>, TokenFailure> {
        if let Some(known) = sync::lock(&self.found).clone() {
            return Ok(known);
        }
        let response = self.fetch(limits)?;
        let found = self.named_in(&response).map_err(|error| TokenFailure {
            wait: wait(response.status.as_u16(), &response.headers),
            ..DISCOVERY.in_context(&self.document, error).into()
        })?;
        log::info!("the issuer {} names the token endpoint {}", self.document.address, found.address);
        let found = Arc::new(found);
        *sync::lock(&self.found) = Some(Arc::clone(&found));
        Ok(found)
    }

    /// The next request fetches the issuer's document again.
    pub(super) fn forget(&self) {
        *sync::lock(&self.found) = None;
    }

    fn fetch(&self, limits: Limits<'_>) -> Result<Exchanged> {
        let request = Request::get(self.document.address.to_string())
            .header(header::CONNECTION, "close")
            .body(String::new())
            .map_err(|error| Error::config(format!("oauth.discovery: not a URL: {error}")))?;
        DISCOVERY.call(&self.document, (request, Vec::new()), limits)
    }

    fn named_in(&self, response: &Exchanged) -> Result<Route> {
        if !response.status.is_success() {
            return Err(refused(response));
        }
        let fields = response.json_object().map_err(|why| unusable(&why))?;
        let text = |name| fields.get(name).and_then(serde_json::Value::as_str).map(str::trim);
        let issuer = text("issuer").ok_or_else(|| unusable("names no `issuer`"))?;
        if issuer.trim_end_matches('/') != self.issuer {
            let issuer = shown(issuer.as_bytes(), &[], 200);
            return Err(Error::config(format!("the document is another issuer's: `{issuer}`"))
                .with_hint("set oauth.discovery to the issuer exactly as it calls itself, if that is the right one"));
        }
        let endpoint = text("token_endpoint").ok_or_else(|| unusable("names no `token_endpoint`"))?;
        // Checked here, for an error that says whose mistake it is.
        let url = EndpointUrl::parse(endpoint, Schemes::HTTP).map_err(|error| {
            error.while_doing("its `token_endpoint`").with_hint(
                "have the issuer name an https:// URL, or set oauth.url to the right one instead of oauth.discovery",
            )
        })?;
        if url == self.document.address.url {
            return Err(unusable("names itself as the `token_endpoint`"));
        }
        self.document.to(Purpose::Discovery, endpoint)
    }
}

/// The issuer may be repaired, so this is transient.
fn unusable(why: &str) -> Error {
    Error::new(ErrorKind::Protocol, format!("the response {why}"))
        .with_class(Class::Transient)
        .with_hint("check oauth.discovery: it must be the issuer itself; or set oauth.url instead")
}

fn refused(response: &Exchanged) -> Error {
    let status = response.status.as_u16();
    let location = response.header(header::LOCATION);
    let message = refusal(&format!("status {status}"), location, &response.body, &Masks::default(), BODY_CHARS_SHOWN);
    let (kind, class, hint) = match status {
        301 | 308 => (
            ErrorKind::Config,
            Class::Permanent,
            "set oauth.discovery to the issuer at the new address: redirects are not followed",
        ),
        300..=399 => (
            ErrorKind::Protocol,
            Class::Transient,
            "check oauth.discovery, and that no sign-in page is in between: redirects are not followed",
        ),
        400 | 401 | 403 | 404 | 405 | 410 => (
            ErrorKind::Config,
            Class::Permanent,
            "check oauth.discovery: there is no openid-configuration below this address; or set oauth.url instead",
        ),
        429 | 500.. => (ErrorKind::Connect, Class::Transient, later_hint(status)),
        _ => (
            ErrorKind::Protocol,
            Class::Transient,
            "check oauth.discovery: the server there does not look like an issuer",
        ),
    };
    Error::new(kind, message).with_class(class).with_http_status(status).with_hint(hint)
}
