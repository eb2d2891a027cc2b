//! The digital event hub of NICE CXone, after NICE's public agent SDK.

use super::dialect::{Dialect, Envelope, Exchange, Expected, TokenPlace, TokenRequest};
use super::template::{Event, optional, required};

pub(super) static DIALECT: Dialect = Dialect {
    token_request: TokenRequest::Password,
    token_place: TokenPlace::Messages,
    path: "/event-hub",
    ignored_first: None,
    open: &[Exchange {
        has: &[("/action", Expected::Text("register")), ("/payload/token", Expected::Token)],
        echo: "",
        answer: r#""authorized""#,
    }],
    open_refused: r#""RATE_LIMIT_EXCEEDED""#,
    heartbeat: Some(Exchange { has: &[("/action", Expected::Text("heartbeat"))], echo: "", answer: r#""pong""# }),
    own_heartbeat: None,
    ignored_last: None,
    ack: None,
    envelope: Envelope::NONE,
    event: Some(&Event {
        members: &[
            required("eventId", r#""<key>""#),
            optional("eventObject", r#""Case""#),
            required("eventType", "<type>"),
            optional("createdAt", r#""<time>""#),
            optional("traceId", r#""<interaction>""#),
            optional(
                "data",
                r#"{"case":{"id":"<number>","interactionId":"<interaction>","status":<disposition>,"routingQueueId":<queue>,"inboxAssignee":<agent>},"channel":{"id":"chat_0f1e"},"message":{"messageContent":{"text":<text>}}}"#,
            ),
        ],
        types: &["CaseCreated", "CaseStatusChanged", "CaseInboxAssigneeChanged", "MessageAddedIntoCase"],
    }),
};
