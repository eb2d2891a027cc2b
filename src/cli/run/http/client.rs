//! A client of a running sink's pages, for `cxsink status`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use serde_json::Value as Json;

use crate::config::HttpConfig;
use crate::{Error, ErrorKind, Result};

const TIMEOUT: Duration = Duration::from_secs(5);
const BYTES_MAX: u64 = 16 << 20;

/// Asks for `/stats.json`. `None` if no sink answers at this address, or `http.listen` is not set.
///
/// # Errors
/// Something answers, but not a sink that this client may ask.
pub(in crate::cli::run) fn ask(config: &HttpConfig) -> Result<Option<Json>> {
    let Some(address) = config.address()?.filter(|address| address.port() != 0) else { return Ok(None) };
    let address = SocketAddr::new(reachable(address.ip()), address.port());
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(TIMEOUT))
        // It is this machine.
        .proxy(None)
        .http_status_as_error(false)
        .build()
        .into();
    let mut request = agent.get(format!("http://{address}/stats.json"));
    if let Some(token) = config.token()? {
        request = request.header("Authorization", format!("Bearer {}", token.expose()));
    }
    let fail = |reason: String| {
        Error::new(ErrorKind::Connect, format!("asking the sink at http://{address}: {reason}"))
            .with_hint("check http.listen and http.token_file: they must be those of the running sink")
    };
    let mut answer = match request.call() {
        Ok(answer) => answer,
        Err(ureq::Error::Io(error)) if error.kind() == std::io::ErrorKind::ConnectionRefused => return Ok(None),
        Err(ureq::Error::ConnectionFailed) => return Ok(None),
        Err(error) => return Err(fail(error.to_string())),
    };
    let status = answer.status();
    let body = answer.body_mut().with_config().limit(BYTES_MAX).read_to_string();
    let body = body.map_err(|error| fail(error.to_string()))?;
    if !status.is_success() {
        return Err(fail(format!("it answers {}", status.as_u16())));
    }
    serde_json::from_str(&body).map(Some).map_err(|_| fail("the answer is not that of a sink".to_owned()))
}

/// An address to which this machine can connect.
fn reachable(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        named => named,
    }
}
