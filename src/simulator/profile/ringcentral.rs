//! WebSocket notifications of `RingCentral`, after its developer guide.

use super::dialect::{Dialect, Envelope, Exchange, Expected, TokenPlace, TokenRequest};
use super::template::{Event, optional, required};

pub(super) static DIALECT: Dialect = Dialect {
    token_request: TokenRequest::None,
    token_place: TokenPlace::QueryOnce("access_token"),
    path: "/ws",
    ignored_first: Some(
        r#"[{"type":"ConnectionDetails","messageId":"m-0","status":200,"wsc":{"token":"simulated","sequence":1}},{"recoveryBufferSize":100,"recoveryTimeout":180,"idleTimeout":1800,"absoluteTimeout":86400}]"#,
    ),
    open: &[Exchange {
        has: &[
            ("/0/type", Expected::Text("ClientRequest")),
            ("/0/method", Expected::Text("POST")),
            ("/0/path", Expected::AnyText),
            ("/1/eventFilters/0", Expected::AnyText),
            ("/1/deliveryMode/transportType", Expected::Text("WebSocket")),
        ],
        echo: "/0/messageId",
        answer: r#"[{"type":"ClientRequest","messageId":<echo>,"status":200},{"id":"simulated","status":"Active","deliveryMode":{"transportType":"WebSocket"}}]"#,
    }],
    open_refused: r#"[{"type":"ClientRequest","messageId":"m-1","status":429},{"errorCode":"CMN-301","message":"Request rate exceeded"}]"#,
    heartbeat: Some(Exchange {
        has: &[("/0/type", Expected::Text("Heartbeat"))],
        echo: "/0/messageId",
        answer: r#"[{"type":"Heartbeat","messageId":<echo>}]"#,
    }),
    own_heartbeat: None,
    ignored_last: None,
    ack: None,
    envelope: Envelope {
        before: r#"[{"type":"ServerNotification","messageId":"<n>","status":200,"headers":{"RCRequestId":"r-<n>"}},"#,
        after: "]",
        is_text: false,
    },
    event: Some(&Event {
        members: &[
            required("uuid", r#""<key>""#),
            required("event", r#""/restapi/v1.0/account/233676004/telephony/sessions""#),
            required("timestamp", r#""<time>""#),
            optional("subscriptionId", r#""simulated""#),
            optional("ownerId", r#""233676004""#),
            required(
                "body",
                r#"{"telephonySessionId":"s-<interaction>","sequence":<number>,"eventTime":"<time>","parties":[{"id":"p-1","extensionId":<agent>,"direction":"Inbound","status":{"code":<type>,"reason":<disposition>}}]}"#,
            ),
        ],
        types: &["Setup", "Proceeding", "Answered", "Disconnected"],
    }),
};
