//! The checks of `[oauth]`, `[stream]` and `[event]` before a sink opens.

use crate::config::choices::{ClientAuth, Grant};
use crate::config::conversation::{MessagePattern, TokenIn};
use crate::config::sections::{Config, OauthConfig, StreamConfig};
use crate::config::{percent, pointer};
use crate::error::{Error, Result};

pub(crate) const STREAM_ID: &str = "{stream_id}";
pub(crate) const TOKEN: &str = "{token}";

/// Headers that the handshake itself sets.
const HEADERS_OF_THE_HANDSHAKE: [&str; 5] = ["host", "connection", "upgrade", "content-length", "transfer-encoding"];

impl Config {
    /// Whether a stream is configured; otherwise the sink accepts events from the application only. Any setting of the stream
    /// counts, so that a missing one is an error ([`Config::validate`]) and not a sink that reads nothing.
    pub fn has_stream(&self) -> bool {
        let (stream, oauth) = (&self.stream, &self.oauth);
        stream.id.is_some()
            || !stream.url.contains(STREAM_ID)
            || !stream.open.is_empty()
            || oauth.grant != Grant::default()
            || oauth.discovery.is_some()
            || oauth.client_id.is_some()
            || oauth.client_secret.is_some()
            || oauth.client_secret_file.is_some()
            || oauth.username.is_some()
            || oauth.password.is_some()
            || oauth.password_file.is_some()
            || oauth.token_file.is_some()
    }

    /// The URL of the stream: `stream.url` with `stream.id` in place of `{stream_id}`.
    ///
    /// # Errors
    /// `Config`: the id is required and missing.
    pub fn stream_url(&self) -> Result<String> {
        if !self.stream.url.contains(STREAM_ID) {
            return Ok(self.stream.url.clone());
        }
        let id = self.stream.required_id()?;
        if id == "." || id == ".." {
            return Err(Error::config("stream.id: `.` and `..` are path segments, not ids")
                .with_hint("set CXONE_STREAM_ID or stream.id to the id that CXone shows"));
        }
        Ok(self.stream.url.replace(STREAM_ID, &percent::encode(id, percent::RESERVED)))
    }

    pub(super) fn validate_stream(&self) -> Result<()> {
        self.stream.validate_times()?;
        if !self.has_stream() {
            return Ok(());
        }
        self.stream_url()?;
        self.oauth.validate()?;
        self.stream.validate(self.oauth.has_token())
    }
}

impl OauthConfig {
    /// Whether there is a token at all.
    pub(crate) fn has_token(&self) -> bool {
        self.grant != Grant::None || self.token_file.is_some()
    }

    /// Whether a request holds the client's secret.
    pub(crate) fn has_client_secret(&self) -> bool {
        match self.grant {
            Grant::ClientCredentials => self.client_auth != ClientAuth::None,
            Grant::Password | Grant::AccessKey => self.client_auth != ClientAuth::None && self.client_id.is_some(),
            Grant::None => false,
        }
    }

    /// The scope that a request names, and that its token must have; the JSON endpoint for access keys takes none.
    pub(crate) fn requested_scope(&self) -> Option<&str> {
        let has_scope = self.grant != Grant::AccessKey && !self.scope.trim().is_empty();
        has_scope.then_some(&*self.scope)
    }

    /// The key that says where the token endpoint is.
    pub(crate) fn endpoint_key(&self) -> &'static str {
        if self.discovery.is_some() { "oauth.discovery" } else { "oauth.url" }
    }

    /// Checks the settings of the token; reads the files of secrets.
    pub(crate) fn validate(&self) -> Result<()> {
        if self.grant == Grant::None {
            return self.token().map(drop);
        }
        if self.token_file.is_some() {
            return Err(Error::config("oauth.token_file: there is a grant that gets a token")
                .with_hint("set oauth.grant = \"none\", or remove oauth.token_file"));
        }
        if self.discovery.is_some() && self.url != Self::default().url {
            return Err(Error::config("oauth.url and oauth.discovery are both set").with_hint("set one of them"));
        }
        if self.discovery.as_ref().is_some_and(|issuer| issuer.contains('?')) {
            return Err(Error::config("oauth.discovery: an issuer has no query")
                .with_hint("write the issuer as it calls itself, such as https://cxone.niceincontact.com"));
        }
        self.validate_client()?;
        if self.has_client_secret() {
            self.client_secret()?;
        }
        if matches!(self.grant, Grant::Password | Grant::AccessKey) {
            if self.username.is_none() {
                return Err(Error::config("oauth.username is missing")
                    .with_hint("set oauth.username, for an access key to its id"));
            }
            self.password()?;
        }
        self.validate_params()
    }

    fn validate_client(&self) -> Result<()> {
        let is_basic = matches!(self.client_auth, ClientAuth::Basic | ClientAuth::BasicRaw);
        match &self.client_id {
            None if self.grant == Grant::ClientCredentials || is_basic => {
                Err(Error::config("oauth.client_id is missing").with_hint("set CXONE_CLIENT_ID or oauth.client_id"))
            }
            // RFC 7617 section 2: the server takes what is behind the first colon for the secret.
            Some(id) if self.client_auth == ClientAuth::BasicRaw && id.contains(':') => Err(Error::config(
                "oauth.client_id holds a colon, and oauth.client_auth = \"basic_raw\" cannot send it",
            )
            .with_hint("set oauth.client_auth = \"basic\" or \"body\"")),
            _ => Ok(()),
        }
    }

    fn validate_params(&self) -> Result<()> {
        let own: &[&str] = match self.grant {
            Grant::AccessKey => &["accessKeyId", "accessKeySecret", "client_id", "client_secret"],
            _ => &["grant_type", "client_id", "client_secret", "username", "password", "scope"],
        };
        let mut seen = std::collections::HashSet::new();
        for (name, _) in self.all_params()? {
            let bad = |reason: &str| Error::config(format!("oauth.params: {name} {reason}"));
            if own.contains(&name.as_str()) {
                return Err(bad("has a key of its own").with_hint("set that key, and remove it from oauth.params"));
            }
            if !seen.insert(name.clone()) {
                return Err(bad("is in oauth.params_file too").with_hint("remove one of them"));
            }
        }
        Ok(())
    }
}

impl StreamConfig {
    fn required_id(&self) -> Result<&str> {
        let missing = || Error::config("stream.id is missing").with_hint("set CXONE_STREAM_ID or stream.id");
        self.id.as_deref().ok_or_else(missing)
    }

    fn validate_times(&self) -> Result<()> {
        let check = |interval, key: &str| {
            if interval < self.idle_timeout {
                return Ok(());
            }
            Err(Error::config(format!("{key}: must be shorter than stream.idle_timeout"))
                .with_hint("lower it, so that an idle connection is tested before it counts as lost"))
        };
        check(self.ping_interval, "stream.ping_interval")?;
        if self.heartbeat.is_some() { check(self.heartbeat_interval, "stream.heartbeat_interval") } else { Ok(()) }
    }

    /// The messages that this side sends by itself.
    fn client_messages(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let open = self.open.iter().map(|message| ("stream.open", message.as_str()));
        open.chain(self.heartbeat.as_deref().map(|message| ("stream.heartbeat", message)))
    }

    fn validate(&self, has_token: bool) -> Result<()> {
        for (key, message) in self.client_messages() {
            if message.contains(STREAM_ID) {
                self.required_id().map_err(|error| error.while_doing(key))?;
            }
            if message.contains(TOKEN) && !has_token {
                return Err(Error::config(format!("{key}: it holds {TOKEN}, and there is no token"))
                    .with_hint("set oauth.token_file or oauth.grant, or remove the placeholder"));
            }
        }
        match self.token_in {
            TokenIn::Query(_) if !has_token => {
                return Err(Error::config("stream.token_in: there is no token")
                    .with_hint("set oauth.token_file or oauth.grant, or set stream.token_in = \"none\""));
            }
            TokenIn::Message if !self.client_messages().any(|(_, message)| message.contains(TOKEN)) => {
                return Err(Error::config(format!("stream.token_in: no message holds {TOKEN}"))
                    .with_hint("put {token} into one of stream.open"));
            }
            _ => {}
        }
        if self.heartbeat_answer.is_some() && self.heartbeat.is_none() {
            return Err(Error::config("stream.heartbeat_answer is set and stream.heartbeat is not")
                .with_hint("set stream.heartbeat to the message that is answered, or remove stream.heartbeat_answer"));
        }
        self.validate_patterns()?;
        self.validate_ack()?;
        self.validate_subprotocol()?;
        self.validate_headers()
    }

    fn validate_patterns(&self) -> Result<()> {
        let has_code = |pattern: &MessagePattern| matches!(pattern, MessagePattern::CloseCode(_));
        let answers = [("stream.open_answer", &self.open_answer), ("stream.heartbeat_answer", &self.heartbeat_answer)];
        let wrong = answers.iter().find(|(_, pattern)| pattern.as_ref().is_some_and(has_code)).map(|(key, _)| *key);
        match wrong.or(self.ignore.iter().any(has_code).then_some("stream.ignore")) {
            Some(key) => Err(Error::config(format!("{key}: a close code is no message"))
                .with_hint("use close_code in stream.open_refused only")),
            None => Ok(()),
        }
    }

    fn validate_ack(&self) -> Result<()> {
        let Some(ack) = &self.ack else { return Ok(()) };
        for (_, pointer) in placeholders(ack) {
            pointer::check(pointer).map_err(|error| error.while_doing("stream.ack"))?;
        }
        let bad = |reason: &str| {
            Err(Error::config(format!("stream.ack: {reason}")).with_hint("write a placeholder such as {/eventId}"))
        };
        if ack.contains(TOKEN) || ack.contains(STREAM_ID) {
            return bad("the only placeholders are JSON pointers of the message");
        }
        if ack.matches("{/").count() != placeholders(ack).count() {
            return bad("a placeholder is not closed");
        }
        Ok(())
    }

    /// RFC 6455 section 4.1: tokens, separated by commas.
    fn validate_subprotocol(&self) -> Result<()> {
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~, ".contains(c);
        match &self.subprotocol {
            Some(subprotocol) if !subprotocol.chars().all(is_allowed) => {
                Err(Error::config("stream.subprotocol: it has a character that no subprotocol may have")
                    .with_hint("write its name, or several names separated by commas"))
            }
            _ => Ok(()),
        }
    }

    fn validate_headers(&self) -> Result<()> {
        let names = self.headers.iter().map(|(name, _)| name).chain(self.headers_file.iter().map(|(name, _)| name));
        let mut seen = std::collections::HashSet::new();
        for name in names {
            let lower = name.to_ascii_lowercase();
            let bad = |reason: &str| Error::config(format!("stream.headers: the header {name:?} {reason}"));
            if tungstenite::http::HeaderName::try_from(name.as_str()).is_err() {
                return Err(bad("has a name that no header has")
                    .with_hint("write letters, digits and hyphens, such as X-Tenant"));
            }
            if HEADERS_OF_THE_HANDSHAKE.contains(&lower.as_str()) || lower.starts_with("sec-websocket-") {
                return Err(bad("belongs to the handshake itself")
                    .with_hint("remove it; stream.subprotocol and stream.compression have settings of their own"));
            }
            if lower == "authorization" && self.token_in == TokenIn::Header {
                return Err(bad("is the place of the token")
                    .with_hint("set stream.token_in = \"none\" for an Authorization header of your own"));
            }
            if !seen.insert(lower) {
                return Err(bad("is listed twice").with_hint("remove one of them, here or in stream.headers_file"));
            }
        }
        for (name, value) in self.all_headers()? {
            if !value.expose().bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
                return Err(Error::config(format!(
                    "stream.headers: the value of {name:?} has a character that no header may hold"
                ))
                .with_hint("write printable ASCII characters; encode others as the server expects them"));
            }
        }
        Ok(())
    }
}

/// The placeholders `{/pointer}` of an acknowledgement: the text before each, and its pointer.
pub(crate) fn placeholders(ack: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = ack;
    std::iter::from_fn(move || {
        let start = rest.find("{/")?;
        let end = start + rest[start..].find('}')?;
        let found = (&rest[..start], &rest[start + 1..end]);
        rest = &rest[end + 1..];
        Some(found)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;

    #[test]
    fn each_setting_that_cannot_be_has_a_hint() {
        let check = |change: fn(&mut StreamConfig), why: &str, hint: &str| {
            let mut stream = StreamConfig::default();
            change(&mut stream);
            let error = stream.validate(true).unwrap_err();
            assert!(error.message().contains(why), "{error}");
            assert!(error.hint().is_some_and(|found| found.contains(hint)), "{error:?}");
        };
        check(
            |stream| stream.heartbeat_answer = Some(MessagePattern::from_text("pong").unwrap()),
            "stream.heartbeat is not",
            "remove stream.heartbeat_answer",
        );
        check(|stream| stream.headers = vec![("a b".into(), Secret::from("x"))], "no header has", "such as X-Tenant");
        check(|stream| stream.headers = vec![("Host".into(), Secret::from("x"))], "the handshake itself", "remove it");
        check(|stream| stream.headers = vec![("A".into(), Secret::from("é"))], "no header may hold", "ASCII");
        let twice: fn(&mut StreamConfig) = |stream| {
            stream.headers = vec![("A".into(), Secret::from("x")), ("a".into(), Secret::from("y"))];
        };
        check(twice, "listed twice", "remove one");
        let mut config = Config::default();
        config.stream.id = Some("..".into());
        assert!(config.stream_url().unwrap_err().hint().is_some());
    }

    #[test]
    fn an_acknowledgement_has_the_pointers_of_its_message_only() {
        let validate = |ack: &str| StreamConfig { ack: Some(ack.into()), ..StreamConfig::default() }.validate_ack();
        for ack in ["ok", r#"{"ack":{/eventId}}"#, "{/a}{/b~1c}"] {
            validate(ack).unwrap();
        }
        for (ack, reason) in [
            (r#"{"token":"{token}"}"#, "the only placeholders"),
            ("{stream_id}", "the only placeholders"),
            (r#"["ack",{/eventId]"#, "not closed"),
            ("{/a~2}", "~0 or ~1"),
        ] {
            let error = validate(ack).unwrap_err();
            assert!(error.message().contains(reason) && error.hint().is_some(), "{ack}: {error:?}");
        }
    }
}
