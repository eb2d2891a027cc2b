//! The steps on the way to the stream.

use std::sync::mpsc::Sender;

use super::run::Area;
use crate::config::Config;
use crate::report::finding::CheckStep;
use crate::source::websocket::{Probe, Server};
use crate::spool::examine;

/// The steps on the way to one of the two servers.
struct Steps {
    names: &'static str,
    tcp: &'static str,
    proxy: &'static str,
    tls: &'static str,
}

const TOKEN_ENDPOINT: Steps = Steps { names: "oauth.names", tcp: "oauth.tcp", proxy: "oauth.proxy", tls: "oauth.tls" };
const STREAM: Steps = Steps { names: "stream.names", tcp: "stream.tcp", proxy: "stream.proxy", tls: "stream.tls" };

/// The token endpoint; true if it gave a token.
pub(super) fn check_token(probe: &mut Probe, reports: &Sender<CheckStep>) -> bool {
    let Steps { names, tcp, proxy, tls } = TOKEN_ENDPOINT;
    let mut area = Area::new(&[names, tcp, proxy, tls, "oauth.token", "oauth.clock"], reports);
    if reach(probe, Server::TokenEndpoint, &TOKEN_ENDPOINT, &mut area).is_none() {
        return false;
    }
    let token = area.examine("oauth.token", || probe.token().map(Some));
    if token.is_some() {
        area.examine("oauth.clock", || Ok(probe.clock()));
    }
    token.is_some()
}

pub(super) fn check_stream(config: &Config, probe: &mut Probe, has_token: bool, reports: &Sender<CheckStep>) {
    let Steps { names, tcp, proxy, tls } = STREAM;
    let mut area = Area::new(&[names, tcp, proxy, tls, "stream.handshake"], reports);
    if reach(probe, Server::Stream, &STREAM, &mut area).is_none() {
        return;
    }
    if let Err(in_use) = examine::lock(&config.spool.path) {
        let why = format!("not tried: {in_use}, and a second connection could be given events in its place");
        area.skip("stream.handshake", why);
    } else if has_token {
        area.examine("stream.handshake", || probe.handshake().map(Some));
    } else {
        area.skip("stream.handshake", "not tried, as there is no token".into());
    }
}

fn reach(probe: &mut Probe, server: Server, steps: &Steps, area: &mut Area<'_>) -> Option<()> {
    area.examine(steps.names, || probe.names(server))?;
    area.examine(steps.tcp, || probe.tcp(server).map(Some))?;
    area.examine(steps.proxy, || probe.proxy(server))?;
    area.examine(steps.tls, || probe.tls(server).map(Some))
}
