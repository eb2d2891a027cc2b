//! Secrets that a test can look for, the looking, and a deployment that is full of them.

use std::error::Error as _;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use cxsink::config::{ClientAuth, Grant};
use cxsink::simulator::SimulatorOptions;
use cxsink::{Config, Error};

use super::authority::Authority;
use super::connect_proxy::{ESTABLISHED, OneWayProxy};
use super::tls_bench::Bench;
use super::tls_front::server_config;

/// Pieces of this length count as the secret: a text may be cut, or shown in rows.
const PIECE: usize = 10;

/// In every form in which an error can be shown.
pub fn all_of(error: &Error) -> String {
    let mut shown = format!("{error} {error:?} {error:#?} {} {:?}\n", error.detail_json(), error.hint());
    let mut cause = error.source();
    while let Some(error) = cause {
        let _ = writeln!(shown, "{error} {error:?}");
        cause = error.source();
    }
    shown
}

/// Texts that may appear nowhere: each with its name and the length of the pieces that count.
#[derive(Default, Clone)]
pub struct Needles(Vec<(String, String, usize)>);

impl Needles {
    /// A new secret. Its letters stay as they are in URLs, forms and JSON; the characters behind them do not.
    pub fn invent(&mut self, name: &str) -> String {
        let letters: String = std::iter::repeat_with(fastrand::alphanumeric).take(32).collect();
        let secret = format!("{letters}&p@:/ %\"ü");
        self.add(name, &letters);
        secret
    }

    pub fn add(&mut self, name: &str, secret: &str) {
        assert!(secret.len() >= PIECE, "{name} is too short to look for");
        self.0.push((name.into(), secret.into(), PIECE));
    }

    /// As a proxy gets them (RFC 7617).
    pub fn add_basic(&mut self, name: &str, user: &str, password: &str) {
        self.add(name, &BASE64.encode(format!("{user}:{password}")));
    }

    /// Fails if any piece of any of them is in the text.
    #[track_caller]
    pub fn assert_none_in(&self, what: &str, text: &[u8]) {
        let text = String::from_utf8_lossy(text);
        for (name, secret, piece) in &self.0 {
            for start in 0..=secret.len() - piece {
                if let Some(at) = text.find(&secret[start..start + piece]) {
                    panic!("{what} shows the {name}: {}", line_around(&text, at));
                }
            }
        }
        // A simulator's tokens begin with this word and go on with hexadecimal digits.
        for (at, word) in text.match_indices("simulated-") {
            let is_token = text[at + word.len()..].starts_with(|c: char| c.is_ascii_hexdigit());
            assert!(!is_token, "{what} shows a token: {}", line_around(&text, at));
        }
    }
}

fn line_around(text: &str, at: usize) -> String {
    let line = text[..at].rfind('\n').map_or(0, |at| at + 1);
    let end = text[at..].find('\n').map_or(text.len(), |end| at + end);
    text[line..end].chars().take(500).collect()
}

/// For a URL.
pub fn encode(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        let _ = if byte.is_ascii_alphanumeric() {
            write!(encoded, "{}", char::from(byte))
        } else {
            write!(encoded, "%{byte:02X}")
        };
        encoded
    })
}

/// As in the credentials of a client: RFC 3986 section 2.3 leaves these characters as they are.
fn unreserved(text: &str) -> String {
    encode(text).replace("%2D", "-").replace("%2E", ".").replace("%5F", "_").replace("%7E", "~")
}

/// In the events that a test makes, and nowhere else.
pub const PAYLOAD: &str = "payload-of-4711-Mustermann";

/// CXone behind TLS, which requires a client certificate, behind a proxy, which requires credentials: everything that has a secret.
pub struct Deployment {
    /// Texts that may appear nowhere, payloads aside.
    pub secrets: Needles,
    /// One that no server takes.
    pub database_password: String,
    /// Others that no server takes, for the flows of a token that have more than a client's secret.
    pub user_password: String,
    pub param: String,
    pub proxy_password: String,
    pub authority: Authority,
    pub bench: Bench,
    pub proxy: OneWayProxy,
}

impl Deployment {
    pub fn new(events: u64) -> Self {
        let mut secrets = Needles::default();
        let mut options = SimulatorOptions::default();
        options.events = Some(events);
        options.invalid_percent = 5.0;
        options.close_at_end = true;
        options.client_secret = secrets.invent("client secret").into();
        options.set("token_failures", "429,500").unwrap();
        options.set("retry_after", "0").unwrap();
        options.set("handshake_failures", "401,503").unwrap();
        let database_password = secrets.invent("database password");
        let proxy_password = secrets.invent("proxy password");
        let (user_password, param) = (secrets.invent("user's password"), secrets.invent("further member"));
        let (client_id, client_secret) = (&options.client_id, options.client_secret.expose());
        secrets.add_basic("client's raw credentials", client_id, client_secret);
        secrets.add_basic("client's credentials", &unreserved(client_id), &unreserved(client_secret));
        secrets.add_basic("proxy's credentials", "proxy-user", &proxy_password);
        let authority = Authority::new();
        let server = authority.server(&["localhost", "api.example"]);
        let mut bench = Bench::new(options, &server, &authority);
        bench.front.change(server_config(&server, Some(&authority), false));
        let proxy = OneWayProxy::new(bench.front.address, |number| match number {
            0 => "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n".into(),
            _ => ESTABLISHED.into(),
        });
        bench.config.oauth.url = bench.front.url(&bench.simulator.oauth_url(), "api.example");
        bench.config.stream.url = bench.front.url(&bench.simulator.stream_url(), "api.example");
        let client = authority.client("the sink");
        secrets.add("client's key", client.key.lines().nth(1).unwrap());
        let key = client.write(&bench.directory.path().join("client.pem"));
        (bench.config.tls.cert_file, bench.config.tls.key_file) = (Some(key.clone()), Some(key));
        let mut deployment =
            Self { secrets, database_password, user_password, param, proxy_password, authority, bench, proxy };
        let url = deployment.proxy_url(&deployment.proxy.address.to_string());
        deployment.bench.config.proxy.url = Some(url.into());
        deployment
    }

    /// Has a configuration send every secret that a token request may have.
    pub fn sign_in(&self, config: &mut Config, grant: Grant, client_auth: ClientAuth) {
        (config.oauth.grant, config.oauth.client_auth) = (grant, client_auth);
        config.oauth.username = Some("somebody".into());
        config.oauth.password = Some(self.user_password.as_str().into());
        config.oauth.params = vec![("tenant".into(), self.param.as_str().into())];
    }

    /// A proxy's address with the credentials.
    pub fn proxy_url(&self, address: &str) -> String {
        format!("http://proxy-user:{}@{address}", encode(&self.proxy_password))
    }

    /// The database's URL with a password that is one of ours, and wrong.
    pub fn wrong(&self, url: &str) -> String {
        let (scheme, rest) = url.split_once("://").unwrap();
        let (_, place) = rest.rsplit_once('@').unwrap();
        format!("{scheme}://postgres:{}@{place}", encode(&self.database_password))
    }

    /// The secrets, and the payloads of the stream and of the test.
    pub fn secrets_and_payloads(&self) -> Needles {
        let mut needles = self.secrets.clone();
        needles.add("payload", PAYLOAD);
        for event in self.bench.simulator.events().step_by(29) {
            let Ok(event) = serde_json::from_slice::<serde_json::Value>(&event) else { continue };
            for name in ["interactionId", "idempotencyKey"] {
                if let Some(value) = event[name].as_str() {
                    needles.0.push((format!("event's {name}"), value.into(), value.len()));
                }
            }
        }
        needles
    }
}
