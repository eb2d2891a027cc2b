//! The fixes that errors of a token request name: with the keys that this configuration uses.

use crate::config::{ClientAuth, Grant, OauthConfig};

/// The hints of one configuration.
#[derive(Debug)]
pub(super) struct Hints {
    /// The key that says where the token endpoint is.
    pub(super) endpoint: &'static str,
    grant: Grant,
    /// The keys of the client's credentials.
    client: Vec<&'static str>,
    /// The keys of the user's, or of the access key.
    user: Vec<&'static str>,
    /// Another setting to try if the server refuses the client, for the end of a hint.
    other_form: &'static str,
}

impl Hints {
    pub(super) fn new(oauth: &OauthConfig) -> Self {
        let mut client = Vec::new();
        if oauth.client_id.is_some() {
            client.push("oauth.client_id");
        }
        if oauth.has_client_secret() {
            let is_file = oauth.client_secret_file.is_some();
            client.push(if is_file { "oauth.client_secret_file" } else { "oauth.client_secret" });
        }
        let user = match (oauth.grant, &oauth.password_file) {
            (Grant::ClientCredentials | Grant::None, _) => Vec::new(),
            (Grant::Password | Grant::AccessKey, Some(_)) => vec!["oauth.username", "oauth.password_file"],
            (Grant::Password | Grant::AccessKey, None) => vec!["oauth.username", "oauth.password"],
        };
        let other_form = match oauth.client_auth {
            ClientAuth::Basic => "; or set oauth.client_auth = \"basic_raw\" or \"body\", if the server expects that",
            ClientAuth::BasicRaw => "; or set oauth.client_auth = \"basic\" or \"body\", if the server expects that",
            ClientAuth::None => "; or set oauth.client_auth, if the server expects a client secret",
            ClientAuth::Body if client.is_empty() => "; or set oauth.client_id, if the server expects a client",
            ClientAuth::Body if oauth.grant == Grant::ClientCredentials => "",
            ClientAuth::Body => "; or set oauth.client_auth = \"basic\" or \"basic_raw\", if the server expects that",
        };
        Self { endpoint: oauth.endpoint_key(), grant: oauth.grant, client, user, other_form }
    }

    /// The server refuses the request, and does not say which part of it.
    pub(super) fn credentials(&self) -> String {
        let keys: Vec<_> = self.user.iter().chain(&self.client).copied().collect();
        format!("{}{}", check(&keys), self.other_form)
    }

    /// The server refuses the client.
    pub(super) fn client(&self) -> String {
        if self.client.is_empty() { self.credentials() } else { format!("{}{}", check(&self.client), self.other_form) }
    }

    /// The server refuses the user or the access key.
    pub(super) fn user(&self) -> String {
        if self.user.is_empty() { self.client() } else { check(&self.user) }
    }

    pub(super) fn scope(&self) -> String {
        match self.grant {
            Grant::AccessKey => {
                "give the user of the access key in oauth.username the permission in CXone's administration".into()
            }
            _ => "grant the client the scope in oauth.scope in CXone's administration, or change oauth.scope".into(),
        }
    }

    pub(super) fn new_address(&self) -> String {
        let fix = match self.endpoint {
            "oauth.url" => "set oauth.url to the new address",
            _ => "have the issuer name the new address, or set oauth.url instead of oauth.discovery",
        };
        format!("{fix}: redirects are not followed with a secret")
    }

    pub(super) fn grant(&self) -> String {
        let (grant, endpoint) = (self.grant.as_str(), self.endpoint);
        format!("allow the client the grant `{grant}` in CXone's administration, and check {endpoint}")
    }
}

fn check(keys: &[&str]) -> String {
    let list = match keys {
        [] => String::new(),
        [only] => (*only).into(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    };
    // Only these have variables of a plain deployment.
    let variables =
        if keys == ["oauth.client_id", "oauth.client_secret"] { " (CXONE_CLIENT_ID, CXONE_CLIENT_SECRET)" } else { "" };
    format!("check {list}{variables}: mistyped, revoked, or for another tenant")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hints(change: impl FnOnce(&mut OauthConfig)) -> Hints {
        let mut oauth =
            OauthConfig { client_id: Some("id".into()), client_secret: Some("s".into()), ..Default::default() };
        change(&mut oauth);
        Hints::new(&oauth)
    }

    #[test]
    fn a_hint_names_the_keys_that_are_used() {
        let plain = hints(|_| ());
        let expected = "check oauth.client_id and oauth.client_secret (CXONE_CLIENT_ID, CXONE_CLIENT_SECRET): \
                        mistyped, revoked, or for another tenant";
        assert_eq!([plain.credentials(), plain.client(), plain.user()], [expected; 3]);
        assert!(plain.grant().contains("`client_credentials`") && plain.grant().ends_with("check oauth.url"));

        let files = hints(|oauth| {
            (oauth.client_secret, oauth.client_secret_file) = (None, Some("secret".into()));
            oauth.discovery = Some("https://issuer.example".into());
        });
        let expected = "check oauth.client_id and oauth.client_secret_file: mistyped";
        assert!(files.credentials().starts_with(expected), "{}", files.credentials());
        assert!(files.grant().ends_with("check oauth.discovery"), "{}", files.grant());

        let user = hints(|oauth| {
            (oauth.grant, oauth.client_auth) = (Grant::Password, ClientAuth::Basic);
            (oauth.username, oauth.password_file) = (Some("u".into()), Some("password".into()));
        });
        assert!(user.credentials().starts_with(
            "check oauth.username, oauth.password_file, oauth.client_id and oauth.client_secret: mistyped"
        ));
        assert_eq!(
            user.user(),
            "check oauth.username and oauth.password_file: mistyped, revoked, or for another tenant"
        );
        assert!(
            user.client().ends_with("set oauth.client_auth = \"basic_raw\" or \"body\", if the server expects that")
        );

        let key = hints(|oauth| {
            *oauth = OauthConfig { grant: Grant::AccessKey, username: Some("k".into()), ..Default::default() };
        });
        assert!(key.credentials().starts_with("check oauth.username and oauth.password: mistyped"));
        assert!(key.client().contains("oauth.client_id") && key.scope().contains("access key"));
    }
}
