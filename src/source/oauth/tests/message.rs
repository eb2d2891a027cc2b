use crate::source::net::address::Purpose;
use crate::source::oauth::message::*;

/// Every character that some encoding of these requests treats in its own way.
const SECRET: &str = "a=+% :&\"\\*ü";
/// As in a form.
const ENCODED: &str = "a%3D%2B%25+%3A%26%22%5C*%C3%BC";

fn oauth(change: impl FnOnce(&mut OauthConfig)) -> OauthConfig {
    let mut oauth = OauthConfig {
        client_id: Some("id 1".into()),
        client_secret: Some(SECRET.into()),
        username: Some("us:er".into()),
        password: Some(format!("p{SECRET}").into()),
        ..OauthConfig::default()
    };
    change(&mut oauth);
    oauth
}

/// The request as it is sent: its content type, its credentials in the head as they were before Base64, and its body.
fn sent(oauth: &OauthConfig) -> (String, Option<String>, String) {
    let credentials = Credentials::read(oauth).unwrap();
    let address = ServerAddress::parse(Purpose::Token, "https://h/t?k=v").unwrap();
    let (request, mut hidden) = Message::new(oauth, &credentials).request(&address, &credentials).unwrap();
    let shown = format!("{request:?}");
    for secret in ["a=+", "a%3D", "us:er", "us%3Aer", "k=v"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    let header = |name| request.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    let mut text =
        format!("POST {}\n{}\n{}", request.uri(), header(header::AUTHORIZATION).unwrap_or_default(), request.body())
            .into_bytes();
    for hidden in &mut hidden {
        hidden.reveal_in(&mut text);
        assert!(hidden.is_sent());
    }
    let text = String::from_utf8(text).unwrap();
    let lines: Vec<&str> = text.split('\n').collect();
    assert_eq!((lines[0], lines.len()), ("POST https://h/t?k=v", 3));
    let basic = lines[1].strip_prefix("Basic ").map(|basic| String::from_utf8(BASE64.decode(basic).unwrap()).unwrap());
    (header(header::CONTENT_TYPE).unwrap(), basic, lines[2].into())
}

#[track_caller]
fn check_form(change: impl FnOnce(&mut OauthConfig), basic: Option<&str>, body: &str) {
    let (content_type, found, form) = sent(&oauth(change));
    assert_eq!(content_type, "application/x-www-form-urlencoded");
    assert_eq!((found.as_deref(), form), (basic, body.replace("SECRET", ENCODED)));
}

#[test]
fn a_form_has_the_members_of_its_grant_and_the_client_where_it_belongs() {
    check_form(
        |_| (),
        None,
        "grant_type=client_credentials&client_id=id+1&client_secret=SECRET&scope=data-actions%3Aread",
    );
    check_form(
        |oauth| oauth.client_auth = ClientAuth::Basic,
        Some("id%201:a%3D%2B%25%20%3A%26%22%5C%2A%C3%BC"),
        "grant_type=client_credentials&scope=data-actions%3Aread",
    );
    check_form(
        |oauth| oauth.client_auth = ClientAuth::BasicRaw,
        Some("id 1:a=+% :&\"\\*ü"),
        "grant_type=client_credentials&scope=data-actions%3Aread",
    );
    check_form(
        |oauth| oauth.client_auth = ClientAuth::None,
        None,
        "grant_type=client_credentials&client_id=id+1&scope=data-actions%3Aread",
    );
    check_form(
        |oauth| (oauth.grant, oauth.scope) = (Grant::Password, " ".into()),
        None,
        "grant_type=password&username=us%3Aer&password=pSECRET&client_id=id+1&client_secret=SECRET",
    );
    check_form(
        |oauth| (oauth.grant, oauth.client_id, oauth.scope) = (Grant::Password, None, "a b".into()),
        None,
        "grant_type=password&username=us%3Aer&password=pSECRET&scope=a+b",
    );
    check_form(
        |oauth| {
            (oauth.grant, oauth.client_auth, oauth.scope) = (Grant::Password, ClientAuth::BasicRaw, String::new());
            oauth.params = vec![("te&nant".into(), SECRET.into()), ("xgrant_type".into(), "*".into())];
        },
        Some("id 1:a=+% :&\"\\*ü"),
        "grant_type=password&username=us%3Aer&password=pSECRET&te%26nant=SECRET&xgrant_type=*",
    );
}

#[test]
fn an_access_key_is_sent_as_json() {
    let check = |change: fn(&mut OauthConfig), basic: Option<&str>, expected: serde_json::Value| {
        let (content_type, found, body) = sent(&oauth(|oauth| {
            oauth.grant = Grant::AccessKey;
            change(oauth);
        }));
        assert_eq!((content_type.as_str(), found.as_deref()), ("application/json", basic));
        assert_eq!(serde_json::from_str::<serde_json::Value>(&body).unwrap(), expected);
    };
    let key = serde_json::json!({"accessKeyId": "us:er", "accessKeySecret": format!("p{SECRET}")});
    check(|oauth| oauth.client_id = None, None, key.clone());
    check(
        |oauth| oauth.client_auth = ClientAuth::Basic,
        Some("id%201:a%3D%2B%25%20%3A%26%22%5C%2A%C3%BC"),
        key.clone(),
    );
    let mut with_members = key;
    with_members["client_id"] = "id 1".into();
    with_members["client_secret"] = SECRET.into();
    with_members["tenant"] = SECRET.into();
    check(|oauth| oauth.params = vec![("tenant".into(), SECRET.into())], None, with_members);
}

#[test]
fn each_file_is_read_again_for_each_request() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str| Some(directory.path().join(name));
    let oauth = oauth(|oauth| {
        (oauth.grant, oauth.client_secret, oauth.password) = (Grant::Password, None, None);
        (oauth.client_secret_file, oauth.password_file) = (file("client"), file("password"));
        oauth.params_file = vec![("tenant".into(), file("tenant").unwrap())];
    });
    for round in ["1", "2"] {
        for name in ["client", "password", "tenant"] {
            std::fs::write(file(name).unwrap(), format!("{name}{round}\n")).unwrap();
        }
        let expected = format!(
            "grant_type=password&username=us%3Aer&password=password{round}&client_id=id+1&client_secret=client{round}\
             &scope=data-actions%3Aread&tenant=tenant{round}"
        );
        assert_eq!(sent(&oauth).2, expected);
    }
    std::fs::remove_file(file("tenant").unwrap()).unwrap();
    let error = Credentials::read(&oauth).err().unwrap();
    assert!(error.message().starts_with("oauth.params_file: reading "), "{error}");
}
