//! Agent assist notifications of NICE CXone, after NICE's public agent SDK.

use super::dialect::{Dialect, Envelope, Exchange, Expected, TokenPlace, TokenRequest};
use super::template::{Event, optional, required};

pub(super) static DIALECT: Dialect = Dialect {
    token_request: TokenRequest::AccessKey,
    token_place: TokenPlace::Messages,
    path: "/agent-assist-notifications/notifications/ws",
    ignored_first: None,
    open: &[
        Exchange {
            has: &[("/command", Expected::Text("CONNECT")), ("/headers/sessionToken", Expected::Token)],
            echo: "",
            answer: r#"{"command":"CONNECTED","headers":{"connectionId":"c-1"},"body":{}}"#,
        },
        Exchange {
            has: &[
                ("/command", Expected::Text("SUBSCRIBE")),
                ("/headers/sessionToken", Expected::Token),
                ("/body/topic", Expected::StreamId),
            ],
            echo: "",
            answer: r#"{"command":"SUBSCRIBED","headers":{"connectionId":"c-1"},"body":{"topic":"<stream_id>"}}"#,
        },
    ],
    open_refused: r#"{"command":"ERROR","headers":{"connectionId":"c-1"},"body":{"responseCode":429,"responseText":"Too many requests"}}"#,
    heartbeat: Some(Exchange {
        has: &[("/command", Expected::Text("HEARTBEAT")), ("/headers/sessionToken", Expected::Token)],
        echo: "",
        answer: r#"{"command":"HEARTBEAT_ACK","headers":{"connectionId":"c-1"},"body":{}}"#,
    }),
    own_heartbeat: None,
    ignored_last: None,
    ack: None,
    envelope: Envelope {
        before: r#"{"command":"MESSAGE","headers":{"connectionId":"c-1"},"body":{"topic":"transcript","messageNo":<n>,"data":"#,
        after: "}}",
        is_text: true,
    },
    event: Some(&Event {
        members: &[
            required("transcriptionEventId", r#""<key>""#),
            required("contactId", r#""<interaction>""#),
            optional("participantId", "<agent>"),
            optional("agentUUId", "<agent>"),
            required("messageBody", "<text>"),
            optional("mediaType", "<type>"),
            optional("languageCode", r#""en-US""#),
            optional("transcriptionSrNo", "<number>"),
            optional("messageIsCompletedUtterance", "true"),
            optional("createdtimestamp", r#""<time>""#),
            optional("words", r#"[{"word":"hello","confidence":0.93,"speakerTag":1}]"#),
        ],
        types: &["Voice", "Chat"],
    }),
};
