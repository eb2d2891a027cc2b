//! An error in the words of RFC 6749 section 5.2: the token endpoint itself refuses the client.

use serde_json::{Map, Value};

use crate::net::masks::Masks;
use crate::source::oauth::hints::Hints;

/// The members of an error response.
pub(crate) struct OauthError<'a> {
    code: &'a str,
    description: Option<&'a str>,
}

impl<'a> OauthError<'a> {
    /// The error in a response's body, if it is one.
    pub(crate) fn in_fields(fields: &'a Map<String, Value>) -> Option<Self> {
        let text = |name| fields.get(name).and_then(Value::as_str);
        Some(Self { code: text("error")?, description: text("error_description") })
    }

    /// Whether it is one of the section's own. Extensions such as `server_error` and `temporarily_unavailable` say that the same request may
    /// succeed later.
    pub(crate) fn is_final(&self) -> bool {
        matches!(
            self.code,
            "invalid_request"
                | "invalid_client"
                | "invalid_grant"
                | "unauthorized_client"
                | "unsupported_grant_type"
                | "invalid_scope"
        )
    }

    /// Code and description, for an error of ours.
    pub(crate) fn shown(&self, masks: &Masks) -> String {
        let code = masks.show(self.code.as_bytes(), 60);
        match self.description {
            Some(description) => format!("{code}: {}", masks.show(description.as_bytes(), 300)),
            None => code,
        }
    }

    pub(crate) fn hint(&self, hints: &Hints) -> String {
        match self.code {
            "invalid_scope" => hints.scope(),
            "unauthorized_client" | "unsupported_grant_type" => hints.grant(),
            "invalid_client" => hints.client(),
            "invalid_grant" => hints.user(),
            "invalid_request" => hints.credentials(),
            _ => format!("wait: the sink tries again later; check {}", hints.endpoint),
        }
    }
}
