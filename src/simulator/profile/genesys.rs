//! Notifications of Genesys Cloud, after its developer centre and a public client.

use super::dialect::{Dialect, Envelope, Exchange, Expected, TokenPlace, TokenRequest};
use super::template::{Event, required};

pub(super) static DIALECT: Dialect = Dialect {
    token_request: TokenRequest::None,
    token_place: TokenPlace::Nowhere,
    path: "/channels/<stream_id>",
    ignored_first: None,
    open: &[Exchange {
        has: &[("/message", Expected::Text("subscribe")), ("/topics/0", Expected::AnyText)],
        echo: "/correlationId",
        answer: r#"{"result":"200","status":"subscribed","correlationId":<echo>}"#,
    }],
    open_refused: r#"{"result":"429","status":"failure","message":"too many requests"}"#,
    heartbeat: Some(Exchange {
        has: &[("/message", Expected::Text("ping"))],
        echo: "",
        answer: r#"{"topicName":"channel.metadata","eventBody":{"message":"pong"}}"#,
    }),
    own_heartbeat: Some(r#"{"topicName":"channel.metadata","eventBody":{"message":"WebSocket Heartbeat"}}"#),
    ignored_last: Some(
        r#"{"topicName":"v2.system.socket_closing","eventBody":{"message":"The socket closes in 60 seconds"}}"#,
    ),
    ack: None,
    envelope: Envelope {
        before: r#"{"topicName":"v2.routing.queues.0f1e2d3c.conversations","version":"2","eventBody":"#,
        after: r#","metadata":{"CorrelationId":"c-<n>"}}"#,
        is_text: false,
    },
    event: Some(&Event {
        members: &[
            required("id", r#""<key>""#),
            required(
                "participants",
                r#"[{"id":"<interaction>","connectedTime":"<time>","purpose":"customer","state":<type>,"direction":"inbound","queueId":<queue>,"userId":<agent>,"wrapup":{"code":<disposition>,"durationSeconds":<duration>,"notes":<text>}},{"id":"<interaction>","purpose":"agent","state":"alerting"}]"#,
            ),
        ],
        types: &["alerting", "connected", "disconnected"],
    }),
};
