//! The steps on the way to the stream.

use std::sync::mpsc::Sender;

use super::steps::{CheckStep, Steps};
use crate::config::Config;
use crate::source::{Probe, ProbeStep, Server};
use crate::spool::examine;

/// The names of the steps on the way to one of the two servers.
struct StepNames {
    names: &'static str,
    tcp: &'static str,
    proxy: &'static str,
    tls: &'static str,
}

const TOKEN_ENDPOINT: StepNames =
    StepNames { names: "oauth.names", tcp: "oauth.tcp", proxy: "oauth.proxy", tls: "oauth.tls" };
const STREAM: StepNames =
    StepNames { names: "stream.names", tcp: "stream.tcp", proxy: "stream.proxy", tls: "stream.tls" };

/// The token endpoint; true if it gave a token, or if the stream needs none.
pub(super) fn check_token(probe: &mut dyn Probe, reports: &Sender<CheckStep>) -> bool {
    let StepNames { names, tcp, proxy, tls } = TOKEN_ENDPOINT;
    let all = ["oauth.discovery", names, tcp, proxy, tls, "oauth.token", "oauth.clock"];
    let mut steps = Steps::new(&all, reports);
    if steps.examine("oauth.discovery", || probe.examine(ProbeStep::Discovery)).is_none() {
        return false;
    }
    if reach(probe, Server::TokenEndpoint, &TOKEN_ENDPOINT, &mut steps).is_none() {
        return false;
    }
    let token = steps.examine("oauth.token", || probe.examine(ProbeStep::Token));
    if token.is_some() {
        steps.examine("oauth.clock", || probe.examine(ProbeStep::Clock));
    }
    token.is_some()
}

pub(super) fn check_stream(config: &Config, probe: &mut dyn Probe, has_token: bool, reports: &Sender<CheckStep>) {
    let StepNames { names, tcp, proxy, tls } = STREAM;
    let mut all = vec![names, tcp, proxy, tls];
    all.extend(ON_THE_STREAM.iter().filter(|step| (step.applies)(config)).map(|step| step.name));
    let mut steps = Steps::new(&all, reports);
    if reach(probe, Server::Stream, &STREAM, &mut steps).is_none() {
        return;
    }
    if let Err(in_use) = examine::lock(&config.spool.path) {
        steps.skip_rest(&format!("not tried: {in_use}, and the server may send events to this second connection only"));
    } else if has_token {
        for step in ON_THE_STREAM {
            if steps.examine(step.name, || probe.examine(step.step)).is_none() {
                return;
            }
        }
    } else {
        steps.skip_rest("not tried, as there is no token");
    }
}

/// A step of the conversation.
struct ConversationStep {
    name: &'static str,
    step: ProbeStep,
    applies: fn(&Config) -> bool,
}

const ON_THE_STREAM: [ConversationStep; 3] = [
    ConversationStep { name: "stream.handshake", step: ProbeStep::Handshake, applies: |_| true },
    ConversationStep {
        name: "stream.opening",
        step: ProbeStep::Opening,
        applies: |config| !config.stream.open.is_empty() || config.stream.open_answer.is_some(),
    },
    ConversationStep {
        name: "stream.heartbeat",
        step: ProbeStep::Heartbeat,
        applies: |config| config.stream.heartbeat.is_some(),
    },
];

fn reach(probe: &mut dyn Probe, server: Server, names: &StepNames, steps: &mut Steps<'_>) -> Option<()> {
    steps.examine(names.names, || probe.examine(ProbeStep::Names(server)))?;
    steps.examine(names.tcp, || probe.examine(ProbeStep::Tcp(server)))?;
    steps.examine(names.proxy, || probe.examine(ProbeStep::Proxy(server)))?;
    steps.examine(names.tls, || probe.examine(ProbeStep::Tls(server)))
}
