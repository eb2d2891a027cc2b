//! The token request of each flow, in bytes: its body, and the client's credentials in its head.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Map, Value};
use ureq::http::{Request, header};

use crate::config::percent::{RESERVED, encode};
use crate::config::{ClientAuth, Grant, OauthConfig, Secret};
use crate::error::{Error, Result};
use crate::net::masks::Masks;
use crate::source::net::address::ServerAddress;
use crate::source::oauth::credentials::Credentials;
use crate::source::oauth::hidden::Hidden;

/// A token request. Its parts show no secret.
pub(super) struct Message {
    content_type: &'static str,
    /// The beginning of the body, by which its place in the request is found.
    body_start: &'static str,
    /// The rest of the body, with everything that is not public.
    body: Secret,
    /// Id and secret of the client in Base64 (RFC 7617), if they are in the head.
    basic: Option<Secret>,
}

const FORM: &str = "application/x-www-form-urlencoded";
const FORM_START: &str = "grant_type=";
const JSON: &str = "application/json";
const JSON_START: &str = "{";

impl Message {
    pub(super) fn new(oauth: &OauthConfig, credentials: &Credentials) -> Self {
        let (content_type, body_start, body) = match oauth.grant {
            Grant::AccessKey => (JSON, JSON_START, json(oauth, credentials)),
            _ => (FORM, FORM_START, form(oauth, credentials)),
        };
        let body = body[body_start.len()..].into();
        Self { content_type, body_start, body, basic: basic(oauth, credentials) }
    }

    /// For every text by which a server may send a secret of it back.
    pub(super) fn masks(&self, oauth: &OauthConfig, credentials: &Credentials) -> Masks {
        let mut masks = Masks::new(credentials.exposed());
        let others = [self.basic.as_ref().map(Secret::expose), oauth.client_id.as_deref(), oauth.username.as_deref()];
        others.into_iter().flatten().for_each(|secret| masks.add(secret));
        masks
    }

    /// The request for the library, and what it must not see: the body, the credentials in the head, and the query of the URL, which may be
    /// a secret.
    pub(super) fn request(
        &self,
        address: &ServerAddress,
        credentials: &Credentials,
    ) -> Result<(Request<String>, Vec<Hidden>)> {
        let secrets = credentials.exposed();
        let (mut url, mut hidden) = (address.to_string(), Vec::new());
        if let Some(query) = address.query() {
            let query = Hidden::new("?", query, &[query]);
            url = format!("{url}?{}", query.placeholder());
            hidden.push(query);
        }
        let mut request =
            Request::post(url).header(header::CONTENT_TYPE, self.content_type).header(header::CONNECTION, "close");
        if let Some(basic) = &self.basic {
            let basic = Hidden::new("Basic ", basic.clone(), &secrets);
            request = request.header(header::AUTHORIZATION, format!("Basic {}", basic.placeholder()));
            hidden.push(basic);
        }
        let body = Hidden::new(self.body_start, self.body.clone(), &secrets);
        let request = request.body(format!("{}{}", self.body_start, body.placeholder()));
        hidden.push(body);
        let request = request.map_err(|error| Error::config(format!("{}: not a URL: {error}", address.key())))?;
        Ok((request, hidden))
    }
}

/// RFC 6749 sections 4.3.2 and 4.4.2, with the client's credentials in the body (section 2.3.1) unless they are in the head.
fn form(oauth: &OauthConfig, credentials: &Credentials) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("grant_type", oauth.grant.as_str());
    if oauth.grant == Grant::Password {
        form.append_pair("username", oauth.username.as_deref().unwrap_or_default());
        form.append_pair("password", credentials.password.as_ref().map_or("", Secret::expose));
    }
    for (name, value) in client_in_body(oauth, credentials) {
        form.append_pair(name, value);
    }
    if let Some(scope) = oauth.requested_scope() {
        form.append_pair("scope", scope);
    }
    for (name, value) in &credentials.params {
        form.append_pair(name, value.expose());
    }
    form.finish()
}

/// The JSON endpoint for access keys.
fn json(oauth: &OauthConfig, credentials: &Credentials) -> String {
    let mut members = Map::new();
    let mut add = |name: &str, value: &str| members.insert(name.into(), Value::from(value));
    add("accessKeyId", oauth.username.as_deref().unwrap_or_default());
    add("accessKeySecret", credentials.password.as_ref().map_or("", Secret::expose));
    for (name, value) in client_in_body(oauth, credentials) {
        add(name, value);
    }
    for (name, value) in &credentials.params {
        add(name, value.expose());
    }
    Value::Object(members).to_string()
}

/// Id and secret of the client, as far as they are in the body.
fn client_in_body<'a>(oauth: &'a OauthConfig, credentials: &'a Credentials) -> Vec<(&'static str, &'a str)> {
    let (id, secret) = (oauth.client_id.as_deref(), credentials.client_secret.as_ref().map(Secret::expose));
    let (id, secret) = match oauth.client_auth {
        ClientAuth::Body => (id, secret),
        ClientAuth::None => (id, None),
        ClientAuth::Basic | ClientAuth::BasicRaw => (None, None),
    };
    [("client_id", id), ("client_secret", secret)].into_iter().filter_map(|(name, text)| Some((name, text?))).collect()
}

/// RFC 6749 section 2.3.1 encodes id and secret as in a form first; some servers expect them as they are. A space becomes `%20` and not
/// `+`: every decoder understands that, and some do not know that a form's plus is a space.
fn basic(oauth: &OauthConfig, credentials: &Credentials) -> Option<Secret> {
    let encoded: fn(&str) -> String = match oauth.client_auth {
        ClientAuth::Basic => |text| encode(text, RESERVED),
        ClientAuth::BasicRaw => str::to_owned,
        ClientAuth::Body | ClientAuth::None => return None,
    };
    let (id, secret) = (oauth.client_id.as_deref()?, credentials.client_secret.as_ref()?);
    Some(BASE64.encode(format!("{}:{}", encoded(id), encoded(secret.expose()))).into())
}

#[cfg(test)]
#[path = "tests/message.rs"]
mod tests;
