//! Login, encryption and clock.

use std::time::Instant;

use crate::config::url::is_this_machine;
use crate::destination::postgres::params::{Address, Host, SslMode};
use crate::destination::postgres::server::Server;
use crate::error::Result;
use crate::report::finding::Finding;
use crate::time::clock::{Clock, SystemClock};

pub(super) fn login(server: &mut Server) -> Result<Finding> {
    let timeout = server.timeout();
    let session = server.ensure_session()?;
    let select = "SELECT current_setting('server_version'), current_user::text, current_database()::text";
    let texts = session.run("reading its version", timeout, |client| {
        let row = client.query_typed_one(select, &[])?;
        Ok((row.try_get::<_, String>(0)?, row.try_get::<_, String>(1)?, row.try_get::<_, String>(2)?))
    })?;
    let (version, user, database) = texts;
    // Debian's includes the version of its package.
    let version = version.split(' ').next().unwrap_or_default();
    let place = session.place();
    Ok(Finding::good(format!("{place}: version {version}, database {database}, user {user}")))
}

pub(super) fn tls(server: &mut Server) -> Result<Finding> {
    server.ensure_session()?;
    let is_local = server.target().hosts.iter().all(is_local);
    let verified = match server.target().tls.mode {
        SslMode::VerifyFull => "certificate and host name verified",
        SslMode::VerifyCa => "certificate verified",
        SslMode::Disable | SslMode::Allow | SslMode::Prefer | SslMode::Require => {
            "certificate not verified, as sslmode allows"
        }
    };
    Ok(match &server.session()?.facts().encryption.get() {
        Some(encryption) => encryption.finding(verified, &SystemClock),
        None if is_local => Finding::good("none: the connection does not leave this machine"),
        None => Finding::warning(
            "none: rows and the login travel in clear text",
            "turn on `ssl` at the server, and add sslmode=verify-full to destination.url",
        ),
    })
}

fn is_local(host: &Host) -> bool {
    match &host.address {
        Address::Unix(_) => true,
        Address::Tcp { ip: Some(ip), .. } => ip.is_loopback(),
        Address::Tcp { name, ip: None } => is_this_machine(name),
    }
}

pub(super) fn clock(server: &mut Server) -> Result<Finding> {
    let timeout = server.timeout();
    let session = server.ensure_session()?;
    let (begun, before) = (Instant::now(), SystemClock.unix_micros());
    let select = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint";
    let theirs: i64 =
        session.run("reading its clock", timeout, |client| client.query_typed_one(select, &[])?.try_get(0))?;
    let round_trip = begun.elapsed().as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "a difference of clocks, in microseconds")]
    let ahead = (theirs - before) as f64 / 1e6 - round_trip / 2.0;
    Ok(Finding::clock("the database's clock", ahead, round_trip / 2.0))
}
