//! The parameters of libpq: which are supported, which only with some values, and what to do instead of the others.

/// Whether a parameter can be used.
pub(super) enum Support {
    Supported,
    Refused { reason: &'static str, hint: &'static str },
    Unknown,
}

/// Whether this parameter can be used with this value.
pub(super) fn support(name: &str, value: &str) -> Support {
    if let Some((_, hint)) = REFUSED.iter().find(|(refused, _)| *refused == name) {
        return Support::Refused { reason: "is not supported", hint };
    }
    if let Some((_, values, hint)) = FIXED.iter().find(|(fixed, ..)| *fixed == name)
        && !values.contains(&value.to_ascii_lowercase().as_str())
    {
        return Support::Refused { reason: "has a value that is not supported", hint };
    }
    if KNOWN.contains(&name) { Support::Supported } else { Support::Unknown }
}

/// The hint for an unknown parameter.
pub(super) fn suggestion(unknown: &str) -> String {
    let similarity = |name: &str| strsim::jaro_winkler(name, unknown);
    let nearest = KNOWN.into_iter().max_by(|a, b| similarity(a).total_cmp(&similarity(b)));
    format!("use one of {}; the nearest one is {}", KNOWN.join(", "), nearest.unwrap_or_default())
}

/// The parameters that are supported.
const KNOWN: [&str; 35] = [
    "application_name",
    "channel_binding",
    "client_encoding",
    "connect_timeout",
    "dbname",
    "fallback_application_name",
    "gssencmode",
    "host",
    "hostaddr",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "load_balance_hosts",
    "max_protocol_version",
    "min_protocol_version",
    "options",
    "passfile",
    "password",
    "port",
    "service",
    "servicefile",
    "ssl_max_protocol_version",
    "ssl_min_protocol_version",
    "sslcert",
    "sslcertmode",
    "sslcompression",
    "sslkey",
    "sslmode",
    "sslnegotiation",
    "sslrootcert",
    "sslsni",
    "target_session_attrs",
    "tcp_user_timeout",
    "user",
];

/// libpq's parameters that are refused whatever their value, and what to do instead.
const REFUSED: [(&str, &str); 16] = [
    ("gssdelegation", NO_GSS),
    ("gsslib", NO_GSS),
    ("krbsrvname", NO_GSS),
    ("oauth_client_id", NO_OAUTH),
    ("oauth_client_secret", NO_OAUTH),
    ("oauth_issuer", NO_OAUTH),
    ("oauth_scope", NO_OAUTH),
    ("replication", "remove it: the sink writes rows and reads no replication stream"),
    ("require_auth", "use channel_binding=require, which only SCRAM over TLS satisfies"),
    ("requirepeer", "remove it: the permissions of the socket's directory decide which user can serve there"),
    ("requiressl", "use sslmode=require"),
    ("scram_client_key", "use a password, passfile or destination.password_file"),
    ("sslcrl", NO_REVOCATION),
    ("sslcrldir", NO_REVOCATION),
    ("sslkeylogfile", "remove it: the keys of a connection are never written to a file"),
    (
        "sslpassword",
        "decrypt the key into a file of mode 0600 (openssl pkey -in KEY -out FILE), and name that in sslkey",
    ),
];

/// Parameters with the values that are accepted, because they have no effect, and the fix for other values.
const FIXED: [(&str, &[&str], &str); 10] = [
    (
        "client_encoding",
        &["utf8", "utf-8", "auto"],
        "remove it: the sink sends UTF-8, whatever the encoding of the database",
    ),
    ("gssencmode", &["disable", "prefer"], NO_GSS),
    ("load_balance_hosts", &["disable"], "remove it: the sink tries the hosts in their order"),
    ("max_protocol_version", &["3.0", "3.2", "latest"], "remove it: the sink uses protocol 3.0"),
    ("min_protocol_version", &["3.0"], "remove it: the sink uses protocol 3.0"),
    ("ssl_max_protocol_version", &["tlsv1.3"], "remove it: the sink uses TLS 1.3 if the server supports it"),
    ("sslcertmode", &["allow", "disable"], "use allow or disable"),
    ("sslcompression", &["0"], "remove it: compression within TLS is not safe"),
    ("sslnegotiation", &["postgres"], "remove it: the sink requests TLS by PostgreSQL's own message"),
    ("sslsni", &["0", "1"], "use 0 or 1"),
];

const NO_GSS: &str = "remove it: GSSAPI is not supported; use a password or a client certificate";
const NO_OAUTH: &str = "remove it: OAuth at the database is not supported; use a password or a client certificate";
const NO_REVOCATION: &str =
    "remove it: revocation lists are not supported; set sslrootcert to an authority with short-lived certificates";
