use super::*;
use crate::config::{Layers, is_key};
use crate::error::ErrorKind;

fn config(text: &str) -> Config {
    Layers::default().file("cxsink.toml", text).config().unwrap_or_else(|error| panic!("{text}\n{error}"))
}

fn refused(text: &str) -> Error {
    let error = Layers::default().file("cxsink.toml", text).config().expect_err(text);
    assert_eq!(error.kind(), ErrorKind::Config);
    error
}

const TWO: &str = r#"
[oauth]
client_id = "shared"
client_secret = "hunter2"

[streams.sales]
id = "s-1"
headers = { "X-Tenant" = "t1" }

[streams.sales.destination]
table = "sales_events"

[streams.support]
id = "s-2"
spool.path = "/var/lib/support.db"
oauth.client_secret_file = "support.secret"

[[streams.support.redact]]
pointer = "/attributes/notes"
with = "drop"

[destination]
table = "all_events"
url = "sqlite:events.db"
"#;

#[test]
fn a_stream_has_the_rest_of_the_file_and_what_is_its_own() {
    let whole = config(TWO);
    assert_eq!(whole.stream_names(), ["sales", "support"]);
    let (sales, support) = (whole.for_stream("sales").unwrap(), whole.for_stream("support").unwrap());
    let get = |config: &Config, key: &str| config.get(key).unwrap_or_default();
    for (key, of_sales, of_support) in [
        ("stream.id", "s-1", "s-2"),
        ("stream.name", "sales", "support"),
        ("oauth.client_id", "shared", "shared"),
        ("oauth.client_secret", "***", ""),
        ("oauth.client_secret_file", "", "support.secret"),
        ("destination.table", "sales_events", "all_events"),
        ("destination.url", "sqlite:events.db", "sqlite:events.db"),
        ("spool.path", "cxsink-spool-sales.db", "/var/lib/support.db"),
        ("redact", "", "[{ pointer = \"/attributes/notes\", with = \"drop\" }]"),
    ] {
        assert_eq!((&*get(&sales, key), &*get(&support, key)), (of_sales, of_support), "{key}");
    }
    assert_eq!(sales.stream.headers.len(), 1);
    assert!(sales.stream_names().is_empty() && sales.of_one_stream().is_ok());
    assert!(sales.shared.is_some() && whole.shared.is_none());
    let debug = format!("{whole:?}");
    assert!(debug.contains("streams: [\"sales\", \"support\"]") && !debug.contains("hunter2"), "{debug}");
}

#[test]
fn a_program_sets_and_reads_what_a_stream_has_of_its_own() {
    let mut whole = Config::default();
    whole.set("streams.sales.id", "s-1").unwrap();
    whole.set("streams.sales.destination.url", "postgresql://me:hunter2@db/cx").unwrap();
    assert_eq!(whole.get("streams.sales.id").as_deref(), Some("s-1"));
    let url = whole.get("streams.sales.destination.url").unwrap();
    assert!(!url.contains("hunter2"), "{url}");
    for unset in ["streams.sales.destination.table", "streams.other.id", "streams.sales", "streams.sales.nothing"] {
        assert_eq!(whole.get(unset), None, "{unset}");
    }
    whole.set("streams.sales.id", "s-2").unwrap();
    assert_eq!(whole.for_stream("sales").unwrap().stream.id.as_deref(), Some("s-2"));
    let error = whole.set("streams.sales.batch.events_max", "none").unwrap_err().to_string();
    assert!(error.starts_with("streams.sales.batch.events_max: "), "{error}");
    let error = whole.set("streams.sales.destination.table", "").unwrap_err().to_string();
    assert_eq!(error, "streams.sales.destination.table: must not be empty");
    assert!(is_key("streams.any.id") && is_key("stream.id") && !is_key("streams.any.idd") && !is_key("streams.any"));
}

#[test]
fn an_empty_value_takes_from_a_stream_what_all_have() {
    let mut whole = config("[schema]\nfile = \"all.json\"\n[streams.a]\nid = \"1\"\n[streams.b]\nid = \"2\"");
    whole.set("streams.a.schema.file", "").unwrap();
    assert_eq!(whole.for_stream("a").unwrap().schema.file, None);
    assert!(whole.for_stream("b").unwrap().schema.file.is_some());
}

#[test]
fn a_columns_map_of_a_stream_unsets_the_default_update() {
    let whole =
        config("[streams.a]\nid = \"1\"\n[streams.a.mapping]\nkey = [\"k\"]\ncolumns = { k = \"/k\", v = \"/v\" }");
    let own = whole.for_stream("a").unwrap();
    assert_eq!((own.mapping.updated(), own.mapping.columns.len()), (None, 2));
    assert!(whole.mapping.updated().is_some());
}

#[test]
fn one_of_two_ways_to_say_it_replaces_the_other() {
    let of = |base: &str, own: &str| config(&format!("{base}\n[streams.a]\n{own}")).for_stream("a").unwrap();
    let file = of("[oauth]\nclient_secret = 's'", "oauth.client_secret_file = 'f'");
    assert!(file.oauth.client_secret.is_none() && file.oauth.client_secret_file.is_some());
    let secret = of("[oauth]\nclient_secret_file = 'f'", "oauth.client_secret = 's'");
    assert!(secret.oauth.client_secret.is_some() && secret.oauth.client_secret_file.is_none());
    let issuer = of("[oauth]\nurl = 'https://a.example/token'", "oauth.discovery = 'https://b.example'");
    assert_eq!(issuer.oauth.url, Config::default().oauth.url);
    let inline = of("[schema]\nfile = 's.json'", "schema.inline = '{}'");
    assert!(inline.schema.file.is_none());
    let with_password = "destination.url = 'postgresql://me:pw@db/cx'";
    assert!(of("[destination]\npassword_file = 'p'", with_password).destination.password_file.is_none());
    let without = "destination.url = 'postgresql://me@db/cx'";
    assert!(of("[destination]\npassword_file = 'p'", without).destination.password_file.is_some());
}

#[test]
fn mistakes_are_named_with_their_place_and_the_nearest_key() {
    for (text, place, expected) in [
        ("[streams.a]\nidd = '1'", "cxsink.toml:2: ", "the nearest known one is \"streams.a.id\""),
        ("[streams.a.destinaton]\ntable = 't'", "cxsink.toml:1: ", "\"streams.a.destination\""),
        ("[streams.a.destination]\ntabel = 't'", "cxsink.toml:2: ", "\"streams.a.destination.table\""),
        ("[streams.a.stream]\nid = '1'", "cxsink.toml:2: ", "stand directly below"),
        ("[streams.a]\nname = 'b'", "cxsink.toml:2: ", "the name of a stream is that of its section"),
        ("[streams.a.http]\nlisten = '127.0.0.1:1'", "cxsink.toml:2: ", "[http] is for the whole process"),
        ("[streams.a.log]\nlevel = 'debug'", "cxsink.toml:2: ", "[log] is for the whole process"),
        ("[streams.A]\nid = '1'", "cxsink.toml:1: ", "cannot be the name of a stream"),
        ("[streams]\na = 'x'", "cxsink.toml:2: ", "streams.a is a stream, not a key"),
        ("streams = 'x'", "cxsink.toml:1: ", "streams is a table of streams"),
        ("[streams.a]\ndestination = 'x'", "cxsink.toml:2: ", "streams.a.destination is a section, not a key"),
        ("[stream.sales]\nid = 'x'", "cxsink.toml:1: ", "[streams.sales]"),
        ("[streams.a]\nping_interval = 'x'", "cxsink.toml:2: ", "streams.a.ping_interval: "),
    ] {
        let error = refused(text);
        let all = format!("{error} ({})", error.hint().unwrap_or_default());
        assert!(all.starts_with(place) && all.contains(expected), "{text}\n{all}");
    }
}

#[test]
fn variables_reach_a_stream_and_a_misspelt_one_is_an_error() {
    let file = "[streams.emea-calls]\nid = '1'\n[destination]\ntable = 't'";
    let with =
        |variable: &str, value: &str| Layers::default().file("cxsink.toml", file).environment([(variable, value)]);
    let set = with("CXSINK_STREAMS__EMEA_CALLS__DESTINATION__TABLE", "emea").config().unwrap();
    assert_eq!(set.for_stream("emea-calls").unwrap().destination.table, "emea");
    let set = with("CXSINK_STREAMS__EMEA_CALLS__ID", "2").config().unwrap();
    assert_eq!(set.for_stream("emea-calls").unwrap().stream.id.as_deref(), Some("2"));
    // What a stream has of its own counts, wherever the rest was set.
    let set = with("CXONE_STREAM_ID", "all").config().unwrap();
    assert_eq!(set.for_stream("emea-calls").unwrap().stream.id.as_deref(), Some("1"));
    for (variable, nearest) in [
        ("CXSINK_STREAMS__EMEA_CALLS__IDD", "CXSINK_STREAMS__EMEA_CALLS__ID"),
        ("CXSINK_STREAMS__EMEA_CALLS__DESTINATION__TABEL", "CXSINK_STREAMS__EMEA_CALLS__DESTINATION__TABLE"),
        ("CXSINK_STREAMS__EMAE_CALLS__ID", "CXSINK_STREAMS__EMEA_CALLS__ID"),
    ] {
        let error = with(variable, "x").config().unwrap_err();
        assert!(error.to_string().contains(&format!("{nearest:?}")), "{variable}: {error}");
    }
    // Without a file, variables alone make the streams.
    let variables = [("CXSINK_STREAMS__SALES__ID", "1"), ("CXSINK_STREAMS__TEAM_2__ID", "2")];
    let alone = Layers::default().environment(variables).config().unwrap();
    assert_eq!(alone.stream_names(), ["sales", "team_2"]);
}

#[test]
fn an_unknown_stream_is_answered_with_the_nearest() {
    let error = config(TWO).for_stream("sale").unwrap_err();
    assert!(error.to_string().contains("the nearest known one is \"sales\""), "{error}");
    assert_eq!(error.hint(), Some("the streams are sales, support"));
    let error = Config::default().for_stream("sales").unwrap_err().to_string();
    assert_eq!(error, "the configuration has no stream \"sales\"");
}

#[test]
fn what_is_for_one_stream_refuses_several() {
    let whole = config(TWO);
    let error = crate::Sink::open(&whole).unwrap_err();
    assert!(error.to_string().contains("of several streams (sales, support)"), "{error}");
    assert!(error.hint().unwrap().contains("for_stream"));
    for result in [
        crate::init_db(&whole).err(),
        crate::table::peek(&whole, 1).err(),
        crate::dead_letters::DeadLetters::open(&whole).err(),
        crate::connections::Connections::open(&whole).err(),
        crate::Validator::new(&whole).err(),
        crate::renew_spool(&whole).err(),
    ] {
        assert!(result.unwrap().to_string().contains("of several streams"));
    }
}

#[test]
fn the_name_stands_before_the_extension() {
    for (path, expected) in [
        ("spool.db", "spool-sales.db"),
        ("/var/lib/cxsink/spool.v2.db", "/var/lib/cxsink/spool.v2-sales.db"),
        ("spool", "spool-sales"),
        (".spool", ".spool-sales"),
        (":memory:", ":memory:"),
    ] {
        assert_eq!(with_name(Path::new(path), "sales"), Path::new(expected));
    }
}
