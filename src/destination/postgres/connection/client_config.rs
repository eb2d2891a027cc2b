//! The `postgres` crate's configuration for one attempt to connect.

use std::time::Duration;

use crate::config::Secret;
use postgres::Config;
use postgres::config::{SslMode, SslNegotiation};

use crate::destination::postgres::params::{Host, Keepalive, Lookup, Target, look_up};

/// Everything but the address and the password.
pub(super) fn for_target(target: &Target, timeout: Duration) -> Config {
    let mut config = Config::new();
    config
        // With these the crate hands every socket to our connector: see `connector`.
        .ssl_mode(SslMode::Require)
        .ssl_negotiation(SslNegotiation::Direct)
        .channel_binding(target.channel_binding)
        .connect_timeout(timeout)
        .user(&target.user)
        .application_name(&target.application_name)
        .target_session_attrs(target.session)
        // Notices come from triggers and may show values; the crate's own callback would log them.
        .notice_callback(|_| {});
    if let Some(database) = &target.database {
        config.dbname(database);
    }
    if let Some(options) = &target.options {
        config.options(options);
    }
    set_keepalive(&mut config, target.keepalive);
    config
}

fn set_keepalive(config: &mut Config, keepalive: Keepalive) {
    config.keepalives(keepalive.enabled.unwrap_or(true));
    if let Some(idle) = keepalive.idle {
        config.keepalives_idle(idle);
    }
    if let Some(interval) = keepalive.interval {
        config.keepalives_interval(interval);
    }
    if let Some(count) = keepalive.count {
        config.keepalives_retries(count);
    }
    if let Some(timeout) = keepalive.tcp_user_timeout {
        config.tcp_user_timeout(timeout);
    }
}

/// Sets the password for this host, if there is one. Returns why the password file was not used. `configured` is the one of
/// `destination.password_file`, which wins.
pub(super) fn set_password(
    config: &mut Config,
    configured: Option<&Secret>,
    target: &Target,
    host: &Host,
) -> Option<String> {
    if let Some(password) = configured.or(target.password.as_ref()) {
        config.password(password.expose());
        return None;
    }
    let database = target.database.as_ref().unwrap_or(&target.user);
    match look_up(target.password_file.as_ref()?, host, database, &target.user) {
        Lookup::Password(password) => {
            config.password(password.expose());
            None
        }
        Lookup::Nothing => None,
        Lookup::Unusable(reason) => {
            log::warn!("{reason}");
            Some(reason)
        }
    }
}
