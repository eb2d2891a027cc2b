//! The table of the options: the text of each, and how it is set.

use super::choices::{Cut, InvalidMix, MessageForm};
use super::option_key::OptionKey;
use super::parse::{
    connections, duration, invalid_kinds, number, number_unless, one_of, open_failures, own, percent, profile,
    retry_after, statuses, switch,
};
use crate::config::Secret;

const NUMBER: &str = "a number";
const COUNT_OR_NEVER: &str = "a number of events or \"never\"";
const CONNECTIONS: &str = "a number of connections or \"all\"";
const PERCENT: &str = "a percentage";
const SWITCH: &str = "\"true\" or \"false\"";
const DURATION: &str = "a duration such as \"500ms\" or \"30s\"";
const TEXT: &str = "text";
const STATUSES: &str = "a list of HTTP statuses such as \"429*3,503\"";

/// One row of the table: name, effect, default, form of the value, parser.
macro_rules! key {
    ($field:ident, $about:expr, $default:expr, $takes:expr, $read:expr) => {
        OptionKey {
            name: stringify!($field),
            about: $about,
            default: $default,
            takes: $takes,
            set: |options, text| {
                options.$field = $read(text)?;
                Ok(())
            },
        }
    };
}

pub(super) const KEYS: &[OptionKey] = &[
    key!(
        profile,
        "Platform whose stream is played",
        Some("data-actions"),
        "data-actions, event-hub, agent-assist, genesys, ringcentral or 8x8",
        profile
    ),
    key!(
        seed,
        "Seed of all random numbers: the same seed gives the same events, byte by byte",
        Some("1"),
        NUMBER,
        number
    ),
    key!(port, "Port to listen on, on 127.0.0.1; 0 takes a free one", Some("0"), NUMBER, number),
    key!(events, "Number of events of the stream", Some("10000"), "a number or \"endless\"", |text| number_unless(
        text, "endless"
    )),
    key!(rate, "Events per second on each connection; 0: as fast as the client reads", Some("0"), NUMBER, number),
    key!(redelivery_percent, "Share of events that repeat an earlier one, byte by byte", Some("0"), PERCENT, percent),
    key!(
        update_percent,
        "Share of events that have an earlier event's key with other attributes",
        Some("0"),
        PERCENT,
        percent
    ),
    key!(
        repeat_window,
        "Maximum distance, in events, between an event and its redelivery or update",
        Some("1000"),
        NUMBER,
        number
    ),
    key!(invalid_percent, "Share of events that a sink must reject", Some("0"), PERCENT, percent),
    key!(
        invalid_kinds,
        "Kinds of invalid events",
        Some("not_json,missing_field,unknown_key,bad_enum,bad_date,bad_key_pattern"),
        "\"all\" or a list of kinds",
        invalid_kinds
    ),
    key!(
        invalid_mix,
        "Order of the kinds of invalid events",
        Some("round-robin"),
        "\"round-robin\" or \"random\"",
        |text| { one_of(text, &[("round-robin", InvalidMix::RoundRobin), ("random", InvalidMix::Random)]) }
    ),
    key!(
        oversize_bytes,
        "Length of an oversize event in bytes; a sink's default limit is 1048576",
        Some("1048577"),
        NUMBER,
        number
    ),
    key!(
        wall_clock,
        "Stamps events with the current time; their bytes then differ from run to run",
        Some("false"),
        SWITCH,
        switch
    ),
    key!(client_id, "Client id that the token endpoint accepts", Some("simulator-client"), TEXT, own),
    key!(
        client_secret,
        "Client secret that the token endpoint accepts",
        Some("simulator-secret"),
        TEXT,
        |text: &str| Ok::<_, String>(Secret::from(text))
    ),
    key!(
        username,
        "User name, or id of the access key, that the token endpoint accepts",
        Some("simulator-user"),
        TEXT,
        own
    ),
    key!(
        password,
        "Password, or secret of the access key, that the token endpoint accepts",
        Some("simulator-password"),
        TEXT,
        |text: &str| Ok::<_, String>(Secret::from(text))
    ),
    key!(
        token_file,
        "File to write valid tokens into, for profiles without a token endpoint",
        None,
        "a path",
        |text: &str| Ok::<_, String>(Some(text.into()))
    ),
    key!(stream_id, "Id of the only stream", Some("simulator-stream"), TEXT, own),
    key!(scope, "The only scope that a client may request", Some("data-actions:read"), TEXT, own),
    key!(granted_scope, "Scope in the token response; without it, the requested one", None, TEXT, |text| {
        own(text).map(Some)
    }),
    key!(
        token_lifetime,
        "Lifetime of a token; after it, the handshake responds with 401",
        Some("1h"),
        DURATION,
        duration
    ),
    key!(close_when_expired, "Closes a stream with 4001 when its token expires", Some("false"), SWITCH, switch),
    key!(token_failures, "Statuses of the first responses of the token endpoint", Some(""), STATUSES, statuses),
    key!(token_answer, "Body in place of each good token response", None, TEXT, |text| own(text).map(Some)),
    key!(handshake_failures, "Statuses of the first responses to a handshake", Some(""), STATUSES, statuses),
    key!(
        open_failures,
        "How the first openings of the conversation fail, in profiles that have one",
        Some(""),
        "a list of refused, garbage and silent, such as \"refused*2,silent\"",
        open_failures
    ),
    key!(
        heartbeats_unanswered,
        "Number of heartbeats without an answer, from the first one on",
        Some("0"),
        "a number of heartbeats or \"all\"",
        connections
    ),
    key!(
        heartbeat_interval,
        "Sends the server's own heartbeat when the last one is this old, in profiles that have one; 0s: never",
        Some("30s"),
        DURATION,
        duration
    ),
    key!(
        retry_after,
        "Retry-After of responses with 429 or 503",
        Some("absent"),
        "\"absent\", seconds, or \"date:\" and seconds",
        retry_after
    ),
    key!(close_after, "Closes the stream after N events on a connection", Some("never"), COUNT_OR_NEVER, |text| {
        number_unless(text, "never")
    }),
    key!(close_code, "Code of that close frame; 1005 sends a frame without a code", Some("1008"), NUMBER, number),
    key!(close_reason, "Reason in that close frame", Some("simulated"), TEXT, own),
    key!(
        close_connections,
        "Number of connections that are closed so, from the first one on",
        Some("1"),
        CONNECTIONS,
        connections
    ),
    key!(
        cut_after,
        "Cuts the connection, without a close frame, after N events on it",
        Some("never"),
        COUNT_OR_NEVER,
        |text| number_unless(text, "never")
    ),
    key!(
        cut_how,
        "How a cut ends the connection: with a TCP reset or with a FIN",
        Some("reset"),
        "\"reset\" or \"end\"",
        |text| { one_of(text, &[("reset", Cut::Reset), ("end", Cut::End)]) }
    ),
    key!(
        cut_connections,
        "Number of connections that are cut, from the first one on",
        Some("1"),
        CONNECTIONS,
        connections
    ),
    key!(
        silence_after,
        "Falls silent, without pongs, after N events on a connection",
        Some("never"),
        COUNT_OR_NEVER,
        |text| number_unless(text, "never")
    ),
    key!(
        silence_connections,
        "Number of connections that fall silent, from the first one on",
        Some("1"),
        CONNECTIONS,
        connections
    ),
    key!(
        replay_events,
        "Number of last events that each further connection gets again at its start",
        Some("0"),
        NUMBER,
        number
    ),
    key!(
        close_at_end,
        "Closes the stream with 1000 after the last event; otherwise it stays open",
        Some("false"),
        SWITCH,
        switch
    ),
    key!(ping_every, "Sends a ping after N events; 0: only after the last event", Some("0"), NUMBER, number),
    key!(ping_interval, "Sends a ping when the last one is this old; 0s: never", Some("0s"), DURATION, duration),
    key!(binary, "Sends binary messages instead of text", Some("false"), SWITCH, switch),
    key!(
        message_form,
        "What a message holds in the place of the event; lines: the whole message is JSON Lines",
        Some("event"),
        "\"event\", \"array\" or \"lines\"",
        |text| {
            one_of(text, &[("event", MessageForm::Event), ("array", MessageForm::Array), ("lines", MessageForm::Lines)])
        }
    ),
    key!(message_events, "Largest number of events in a message that holds several", Some("10"), NUMBER, number),
    key!(
        frames_per_write,
        "Number of messages in one write to the socket; 0: as many as fit into 64 KiB",
        Some("0"),
        NUMBER,
        number
    ),
];
