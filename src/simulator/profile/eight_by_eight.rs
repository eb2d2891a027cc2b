//! The WebSocket of 8x8 Contact Center, after its public description: see examples/config/8x8.toml for what of it is a guess.

use super::dialect::{Acknowledgement, Dialect, Envelope, Exchange, Expected, TokenPlace, TokenRequest};
use super::template::{Event, optional, required};

pub(super) static DIALECT: Dialect = Dialect {
    token_request: TokenRequest::None,
    token_place: TokenPlace::Messages,
    path: "/cceb/ws",
    ignored_first: None,
    open: &[Exchange {
        has: &[
            ("/type", Expected::Text("auth")),
            ("/data/jwt", Expected::Token),
            ("/data/tenant_id", Expected::StreamId),
        ],
        echo: "",
        answer: r#"{"type":"auth_success","data":{"session_key":"simulated"}}"#,
    }],
    open_refused: r#"{"type":"error","data":{"code":"TOO_MANY_REQUESTS"}}"#,
    heartbeat: None,
    own_heartbeat: None,
    ignored_last: None,
    ack: Some(Acknowledgement { has: &[("/type", Expected::Text("ack"))], id: "/id", id_prefix: "n-" }),
    envelope: Envelope { before: r#"{"type":"notification","id":"n-<n>","data":"#, after: "}", is_text: false },
    event: Some(&Event {
        members: &[
            required("eventId", r#""<key>""#),
            required("eventType", "<type>"),
            required("timestamp", r#""<time>""#),
            optional("tenantId", r#""simulated""#),
            optional(
                "data",
                r#"{"interactionId":"<interaction>","agentId":<agent>,"queueName":<queue>,"disposition":<disposition>,"duration":<duration>}"#,
            ),
        ],
        types: &["agent.login", "interaction.assigned", "interaction.ended"],
    }),
};
