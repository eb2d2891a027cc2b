//! The settings of a sink that reads from a simulator.

use super::dialect::{TokenPlace, TokenRequest};
use super::dialects::dialect;
use super::name::Profile;
use crate::config::{Config, Layers, Secret, keys};
use crate::simulator::handle::Simulator;
use crate::simulator::options::MessageForm;

impl Simulator {
    /// Sets what a sink needs to read from this simulator: URLs, credentials, scope and stream id. Another profile than the default
    /// also sets the rest of `oauth` and `stream`, and `event`, `schema` and `mapping`, as its configuration file has them.
    pub fn apply_to(&self, config: &mut Config) {
        let options = self.options();
        if options.profile != Profile::DataActions {
            apply_file(options.profile, config);
        }
        let (oauth, stream) = (&mut config.oauth, &mut config.stream);
        let dialect = dialect(options.profile);
        match dialect.token_request {
            TokenRequest::ClientCredentials => {
                oauth.url = self.oauth_url();
                oauth.scope.clone_from(&options.scope);
            }
            TokenRequest::Password => oauth.discovery = Some(self.issuer()),
            TokenRequest::AccessKey => oauth.url = self.oauth_url(),
            TokenRequest::None if dialect.token_place == TokenPlace::Nowhere => oauth.token_file = None,
            TokenRequest::None => oauth.token_file.clone_from(&options.token_file),
        }
        if matches!(dialect.token_request, TokenRequest::ClientCredentials | TokenRequest::Password) {
            oauth.client_id = Some(options.client_id.clone());
            oauth.client_secret = Some(options.client_secret.clone());
            oauth.client_secret_file = None;
        }
        if matches!(dialect.token_request, TokenRequest::Password | TokenRequest::AccessKey) {
            oauth.username = Some(options.username.clone());
            oauth.password = Some(options.password.clone());
            oauth.password_file = None;
        }
        stream.url = self.stream_url();
        stream.id = Some(options.stream_id.clone());
        match options.message_form {
            MessageForm::Event => {}
            MessageForm::Array => config.event.each = true,
            MessageForm::Lines => config.event.lines = true,
        }
    }

    /// Returns the same settings as names and texts, as [`Config::set`] takes them, secrets included.
    ///
    /// ```
    /// use cxsink::simulator::{Simulator, SimulatorOptions};
    ///
    /// let mut options = SimulatorOptions::default();
    /// options.set("profile", "event-hub")?;
    /// let simulator = Simulator::start(options)?;
    /// let settings = simulator.settings();
    /// assert!(settings.contains(&("stream.heartbeat_answer", "\"pong\"".into())));
    /// # Ok::<(), cxsink::Error>(())
    /// ```
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        let (default, mut config) = (Config::default(), Config::default());
        self.apply_to(&mut config);
        let own_scope = dialect(self.options().profile).token_request == TokenRequest::ClientCredentials;
        keys()
            .filter(|key| default.get(key) != config.get(key) || (own_scope && *key == "oauth.scope"))
            .filter_map(|key| Some((key, text(&config, key)?)))
            .collect()
    }
}

fn text(config: &Config, key: &str) -> Option<String> {
    let exposed = |secret: &Option<Secret>| secret.as_ref().map(|secret| secret.expose().to_owned());
    match key {
        "oauth.client_secret" => exposed(&config.oauth.client_secret),
        "oauth.password" => exposed(&config.oauth.password),
        _ => config.get(key),
    }
}

/// Applies the sections of a profile's file that say how its stream is read.
fn apply_file(profile: Profile, config: &mut Config) {
    let file = Layers::default().file(profile.name(), profile.config_text()).config();
    debug_assert!(file.is_ok(), "{file:?}");
    if let Ok(file) = file {
        config.oauth = file.oauth;
        config.stream = file.stream;
        config.event = file.event;
        config.schema = file.schema;
        config.mapping = file.mapping;
    }
}
