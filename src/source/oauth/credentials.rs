//! The secrets of one token request.

use crate::config::{Grant, OauthConfig, Secret};
use crate::error::Result;

/// The secrets of one request. Files are read again each time, so that a secret can be changed while the sink runs.
pub(super) struct Credentials {
    /// Of a client that authenticates itself.
    pub(super) client_secret: Option<Secret>,
    /// The user's, or the secret of an access key.
    pub(super) password: Option<Secret>,
    /// Further members: name and value.
    pub(super) params: Vec<(String, Secret)>,
}

impl Credentials {
    pub(super) fn read(oauth: &OauthConfig) -> Result<Self> {
        let has_password = matches!(oauth.grant, Grant::Password | Grant::AccessKey);
        Ok(Self {
            client_secret: oauth.has_client_secret().then(|| oauth.client_secret()).transpose()?,
            password: has_password.then(|| oauth.password()).transpose()?,
            params: oauth.all_params()?,
        })
    }

    /// All of them.
    pub(super) fn exposed(&self) -> Vec<&str> {
        let params = self.params.iter().map(|(_, value)| value);
        self.client_secret.iter().chain(&self.password).chain(params).map(Secret::expose).collect()
    }
}
