//! Each flow from the configuration to a token or to an error that names the right keys.

use crate::config::ClientAuth;
use crate::error::{Class, ErrorKind};
use crate::source::oauth::token::*;
use crate::source::test_server::{TestServer, response, token_response};
use crate::time::clock::SystemClock;

const SECRETS: [&str; 5] = ["hunter2&co", "pass=word+%:&ü", "client-4711", "user-0815", "tenant-secret"];

fn tokens(config: &Config) -> Result<TokenCache> {
    TokenCache::new(config, StopSignal::new(), Arc::new(SystemClock), Arc::new(|_| ()))
}

/// A user at this server, with every secret that a request may hold.
fn user(server: &TestServer, grant: Grant) -> Config {
    let mut config = server.config();
    config.oauth.grant = grant;
    config.oauth.username = Some("user-0815".into());
    config.oauth.password = Some("pass=word+%:&ü".into());
    config.oauth.params = vec![("tenant".into(), "tenant-secret".into())];
    config
}

#[track_caller]
fn assert_clean(error: &Error) {
    let all = format!("{error:?} {error} {}", error.detail_json());
    for secret in SECRETS {
        assert!(!all.contains(secret), "{all}");
    }
}

/// The error of a server that answers with this status and sends back everything that it got.
fn refused(status: &'static str, body: &'static str, change: impl FnOnce(&mut Config), grant: Grant) -> Error {
    let server = TestServer::http(move |_, peer| {
        let body = body.replace("ECHO", &peer.request.replace(['\r', '\n'], " "));
        peer.send(response(status, "", &body));
    });
    let mut config = user(&server, grant);
    change(&mut config);
    let error = tokens(&config).unwrap().token(None).unwrap_err();
    assert_clean(&error);
    error
}

#[test]
fn no_compression_is_asked_for() {
    let server = TestServer::http(|_, peer| peer.send(token_response("abc")));
    tokens(&server.config()).unwrap().token(None).unwrap();
    let request = server.requests.lock().unwrap()[0].to_ascii_lowercase();
    assert!(!request.contains("accept-encoding"), "{request}");

    let server = TestServer::http(|_, peer| peer.send(response("200 OK", "Content-Encoding: gzip\r\n", "\u{1f}abc")));
    let error = tokens(&server.config()).unwrap().token(None).unwrap_err();
    assert!(error.message().contains("is not JSON (no content type, gzip, 4 bytes)"), "{error}");
}

#[test]
fn the_answer_to_an_access_key_may_have_names_of_its_own() {
    let check = |body: &'static str, seconds: u64| {
        let server = TestServer::http(move |_, peer| peer.send(response("200 OK", "", body)));
        let token = tokens(&user(&server, Grant::AccessKey)).unwrap().token(None).unwrap();
        assert_eq!((token.secret(), token.lifetime), ("tok", Some(Duration::from_secs(seconds))), "{body}");
        let request = server.requests.lock().unwrap()[0].clone();
        assert!(request.to_ascii_lowercase().contains("\r\ncontent-type: application/json\r\n"), "{request}");
    };
    check(r#"{"access_token":"tok","token_type":"Bearer","expires_in":1800,"scope":"openid","id_token":"x"}"#, 1800);
    check(r#"{"accessToken":"tok","expiresIn":"900"}"#, 900);
    check(r#"{"token":"tok","tokenExpirationTimeSec":60,"refreshToken":"x"}"#, 60);
    check(r#"{"access_token":"tok","token":"other","error":null}"#, 3600);

    // Other grants keep to the RFC.
    let server = TestServer::http(|_, peer| peer.send(response("200 OK", "", r#"{"token":"tok"}"#)));
    let error = tokens(&user(&server, Grant::Password)).unwrap().token(None).unwrap_err();
    assert!(error.message().contains("has no `access_token`"), "{error}");
}

#[test]
fn a_refusal_shows_no_secret_and_names_the_keys_that_are_used() {
    let basic = |config: &mut Config| config.oauth.client_auth = ClientAuth::Basic;
    let raw = |config: &mut Config| config.oauth.client_auth = ClientAuth::BasicRaw;
    for body in ["ECHO", "{\"error\":\"invalid_client\",\"error_description\":\"ECHO\"}"] {
        let error = refused("401 Unauthorized", body, |_| (), Grant::Password);
        assert!(error.hint().unwrap().contains("oauth.client_id"), "{error:?}");
        assert_eq!((error.kind(), error.class()), (ErrorKind::Auth, Class::Permanent));
        let error = refused("401 Unauthorized", body, basic, Grant::Password);
        assert!(error.hint().unwrap().contains("basic_raw"), "{error:?}");
        let error = refused("401 Unauthorized", body, raw, Grant::ClientCredentials);
        assert!(error.hint().unwrap().contains("\"basic\" or \"body\""), "{error:?}");
        refused("400 Bad Request", body, raw, Grant::AccessKey);
    }
    let grant = r#"{"error":"invalid_grant"}"#;
    let error = refused("400 Bad Request", grant, |_| (), Grant::Password);
    assert!(error.hint().unwrap().starts_with("check oauth.username and oauth.password: mistyped"), "{error:?}");
    let error = refused("401 Unauthorized", "ECHO", |config| config.oauth.client_id = None, Grant::AccessKey);
    assert!(error.hint().unwrap().starts_with("check oauth.username and oauth.password: mistyped"), "{error:?}");
    let error = refused("403 Forbidden", "", |_| (), Grant::AccessKey);
    assert!(error.hint().unwrap().contains("access key"), "{error:?}");
    let error = refused("400 Bad Request", r#"{"error":"unsupported_grant_type"}"#, |_| (), Grant::Password);
    assert!(error.hint().unwrap().contains("`password`"), "{error:?}");
    // A token in an error of another spelling.
    for body in [r#"{"accessToken":"tok-secret"}"#, r#"{"token":"tok-secret"}"#] {
        let error = refused("500 Oops", body, |_| (), Grant::AccessKey);
        assert!(error.message().ends_with("(the body is not shown: it may hold a token)"), "{error}");
    }
}

#[test]
fn a_token_in_a_file_is_read_again_for_each_connection() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    std::fs::write(&file, "tok-1\n").unwrap();
    let mut config = Config::default();
    (config.oauth.grant, config.oauth.token_file) = (Grant::None, Some(file.clone()));
    let tokens = tokens(&config).unwrap();
    let token = tokens.token(None).unwrap();
    assert_eq!((token.secret(), token.lifetime, token.fresh), ("tok-1", None, false));
    assert_eq!(token.header.as_ref().unwrap(), "Bearer tok-1");
    assert!(!format!("{token:?}").contains("tok-1"));
    tokens.discard(&token);
    std::fs::write(&file, " tok-2 \n").unwrap();
    assert_eq!(tokens.token(None).unwrap().secret(), "tok-2");

    // It may be away or half written for a moment.
    let check = |why: &str| {
        let error = tokens.token(None).unwrap_err();
        assert_eq!((error.kind(), error.class()), (ErrorKind::Config, Class::Transient), "{error}");
        assert!(error.message().starts_with("oauth.token_file: ") && error.message().contains(why), "{error}");
        assert!(!format!("{error:?}").contains("tok-3"), "{error:?}");
        error
    };
    std::fs::write(&file, "").unwrap();
    check("empty");
    std::fs::write(&file, "Bearer tok-3").unwrap();
    assert!(check("characters").hint().unwrap().ends_with("without a word such as Bearer"));
    std::fs::write(&file, " ").unwrap();
    check("is empty");
    std::fs::remove_file(&file).unwrap();
    check("reading");
    std::fs::write(&file, "tok-4").unwrap();
    assert_eq!(tokens.token(None).unwrap().secret(), "tok-4");
    assert!(tokens.route().unwrap().is_none());
}

#[test]
fn a_token_file_that_is_missing_at_the_start_is_found_at_once() {
    let mut config = Config::default();
    (config.oauth.grant, config.oauth.token_file) = (Grant::None, Some("/nowhere/token".into()));
    let error = tokens(&config).unwrap_err();
    assert_eq!((error.kind(), error.class()), (ErrorKind::Config, Class::Permanent));
    assert!(error.message().contains("/nowhere/token"), "{error}");
}

#[test]
fn a_stream_may_need_no_token() {
    let mut config = Config::default();
    config.oauth.grant = Grant::None;
    let token = tokens(&config).unwrap().token(None).unwrap();
    assert_eq!((token.secret(), token.lifetime, &token.header), ("", None, &None));
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let server = TestServer::http(|_, _| ());
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "tenant-secret").unwrap();
    let check = |grant, change: &dyn Fn(&mut Config), why: &str| {
        let mut config = user(&server, grant);
        change(&mut config);
        let error = config.validate().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.message().contains(why), "{error} does not say {why}");
        assert!(error.hint().is_some());
        assert_clean(&error);
    };
    check(
        Grant::ClientCredentials,
        &|config| (config.oauth.client_auth, config.oauth.client_id) = (ClientAuth::BasicRaw, Some("a:b".into())),
        "oauth.client_id holds a colon",
    );
    check(
        Grant::Password,
        &|config| (config.oauth.client_auth, config.oauth.client_id) = (ClientAuth::Basic, None),
        "oauth.client_id is missing",
    );
    check(Grant::Password, &|config| config.oauth.password = None, "oauth.password is missing");
    check(Grant::AccessKey, &|config| config.oauth.username = None, "oauth.username is missing");
    let own = |config: &mut Config| config.oauth.params = vec![("accessKeySecret".into(), "x".into())];
    check(Grant::AccessKey, &own, "accessKeySecret has a key of its own");
    let query = |config: &mut Config| {
        config.oauth.url = Config::default().oauth.url;
        config.oauth.discovery = Some("https://issuer.example/?tenant=1".into());
    };
    let both = |config: &mut Config| config.oauth.params_file = vec![("tenant".into(), file.path().into())];
    check(Grant::Password, &both, "oauth.params: tenant is in oauth.params_file too");
    check(Grant::Password, &query, "an issuer has no query");
    let mut config = user(&server, Grant::AccessKey);
    config.destination.url = Some("sqlite:events.db".into());
    config.oauth.client_id = None;
    config.validate().unwrap();
    (config.oauth.grant, config.oauth.client_id) = (Grant::Password, Some("a:b".into()));
    config.oauth.client_auth = ClientAuth::Basic;
    config.validate().unwrap();
}
