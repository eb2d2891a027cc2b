//! Configuration: every layer gives the same result, an error names the place of a mistake, and no secret is ever shown.

use std::process::Command;
use std::time::Duration;

use cxsink::config::{self, Config, Layers, LogFormat, OnNormalClose, UpdateMode};
use cxsink::config::{FromEvent, MappingSource, Secret};
use cxsink::{Error, ErrorKind};
use proptest::prelude::*;

use crate::support::process::in_own_process;

const NO_VARIABLES: [(&str, &str); 0] = [];

fn from_toml(text: &str) -> Result<Config, Error> {
    Layers::default().file("cxsink.toml", text).config()
}

fn from_variables(variables: &[(&str, &str)]) -> Result<Config, Error> {
    Layers::default().environment(variables.iter().copied()).config()
}

fn destination(config: &Config) -> Option<&str> {
    config.destination.url.as_ref().map(Secret::expose)
}

/// The error is about the configuration and contains each of these.
fn check_error(result: Result<impl Sized, Error>, parts: &[&str]) {
    let Err(error) = result else { panic!("no error that says {parts:?}") };
    assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
    let whole = format!("{error:?}");
    for part in parts {
        assert!(whole.contains(part), "{part:?} is not in: {whole}");
    }
}

/// Complete, and valid.
fn complete() -> Config {
    from_variables(&[
        ("CXONE_CLIENT_ID", "id"),
        ("CXONE_CLIENT_SECRET", "secret"),
        ("CXONE_STREAM_ID", "calls"),
        ("DATABASE_URL", "postgresql://me:pw@db/cx"),
    ])
    .unwrap()
}

// The reference

#[test]
fn the_reference_is_the_committed_file() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/configuration.md");
    if std::env::var_os("CXSINK_UPDATE").is_some_and(|value| value == "1") {
        std::fs::write(path, config::reference()).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(committed == config::reference(), "docs/configuration.md is stale; `make reference` writes it");
}

#[test]
fn the_reference_names_every_key_and_every_deployment_variable() {
    let reference = config::reference();
    let variables =
        ["CXONE_CLIENT_ID", "CXONE_CLIENT_SECRET", "CXONE_STREAM_ID", "DATABASE_URL", "DB_PASSWORD", "PGPASSWORD"];
    for name in config::keys().chain(variables) {
        assert!(reference.contains(&format!("`{name}`")), "{name}");
    }
}

/// The names that deployments rely on; they never change.
#[test]
fn the_fixed_keys_are_there() {
    let fixed = "oauth.url oauth.client_id oauth.client_secret oauth.client_secret_file oauth.scope oauth.refresh_early \
        stream.id stream.url stream.ping_interval stream.idle_timeout stream.connect_timeout stream.on_normal_close \
        stream.renew_before_expiry schema.file schema.additional_properties mapping.columns mapping.key mapping.update destination.url \
        destination.password_file destination.table destination.update destination.statement_timeout spool.path spool.sync \
        spool.bytes_max batch.events_max batch.bytes_max dead_letters.bytes_max retry.delay_min retry.delay_max log.level \
        log.format";
    for name in fixed.split_whitespace() {
        assert!(config::keys().any(|key| key == name), "{name}");
    }
}

#[test]
fn the_example_of_a_dotenv_file_is_valid() {
    let text = include_str!("../../.env.example");
    let config = Layers::default().dotenv(text).config().unwrap();
    config.validate().unwrap();
    // Each line that is commented out is valid by itself.
    for line in
        text.lines().filter_map(|line| line.strip_prefix("#").filter(|line| !line.starts_with(' ') && !line.is_empty()))
    {
        Layers::default().dotenv(line).config().unwrap_or_else(|e| panic!("{line}: {e:?}"));
    }
}

// One key, four ways

#[test]
fn every_layer_sets_the_same_values() {
    let toml = r#"
        [oauth]
        client_secret = "s"
        refresh_early = "1m"
        [stream]
        on_normal_close = "stop"
        [schema]
        file = "schema.json"
        [mapping]
        key = ["a", "b"]
        update = ["c"]
        columns = { b = "/b", a = "/a/0", c = "now", d = { pointer = ["/d", "/e"], default = 1.5, trim = true }, e = { constant = [true] } }
        [destination]
        update = "newer"
        [spool]
        bytes_max = "1GiB"
        [batch]
        events_max = 7
        bytes_max = 2048
        [log]
        format = "json"
    "#;
    let variables = [
        ("CXSINK_OAUTH__CLIENT_SECRET", "s"),
        ("CXSINK_OAUTH__REFRESH_EARLY", "60s"),
        ("CXSINK_STREAM__ON_NORMAL_CLOSE", "stop"),
        ("CXSINK_SCHEMA__FILE", "schema.json"),
        ("CXSINK_MAPPING__KEY", "a, b"),
        ("CXSINK_MAPPING__UPDATE", "c"),
        (
            "CXSINK_MAPPING__COLUMNS",
            r#"{b = "/b", a = "/a/0", c = "now", d = { pointer = ["/d", "/e"], default = 1.5, trim = true }, e = { constant = [true] }}"#,
        ),
        ("CXSINK_DESTINATION__UPDATE", "newer"),
        ("CXSINK_SPOOL__BYTES_MAX", "1024 MiB"),
        ("CXSINK_BATCH__EVENTS_MAX", "7"),
        ("CXSINK_BATCH__BYTES_MAX", "2KiB"),
        ("CXSINK_LOG__FORMAT", "json"),
    ];
    let dotenv: Vec<_> = variables.iter().map(|(name, value)| format!("{name}='{value}'\n")).collect();
    let mut set = Config::default();
    for (name, value) in variables {
        let key = name.strip_prefix("CXSINK_").unwrap().replacen("__", ".", 1).to_lowercase();
        set.set(&key, value).unwrap();
    }
    let all = [
        from_toml(toml).unwrap(),
        from_variables(&variables).unwrap(),
        Layers::default().dotenv(dotenv.concat()).config().unwrap(),
        set,
    ];
    for config in all {
        assert_eq!(config.oauth.client_secret.as_ref().unwrap().expose(), "s");
        assert_eq!(config.oauth.refresh_early, Duration::from_secs(60));
        assert_eq!(config.stream.on_normal_close, OnNormalClose::Stop);
        assert_eq!(config.schema.file.as_deref(), Some("schema.json".as_ref()));
        let columns = [
            ("b", "/b".into()),
            ("a", "/a/0".into()),
            ("c", MappingSource::Now),
            ("d", FromEvent::at("/d").or("/e").or_default(1.5).trimmed().into()),
            ("e", MappingSource::Constant(serde_json::json!([true]))),
        ]
        .map(|(column, source)| (column.to_owned(), source));
        assert_eq!(config.mapping.columns, columns, "the order is kept");
        assert_eq!(config.mapping.key, ["a", "b"]);
        assert_eq!(config.mapping.update, Some(vec!["c".into()]));
        assert_eq!(config.destination.update, UpdateMode::Newer);
        assert_eq!((config.spool.bytes_max, config.batch.events_max, config.batch.bytes_max), (1 << 30, 7, 2048));
        assert_eq!(config.log.format, LogFormat::Json);
    }
}

#[test]
fn set_accepts_the_text_that_get_shows() {
    let mut config = Config::default();
    assert_eq!(config.get("retry.delay_max").as_deref(), Some("30s"));
    assert_eq!(config.get("spool.bytes_max").as_deref(), Some("4GiB"));
    assert_eq!(config.get("stream.id"), None);
    assert_eq!(config.get("no.such"), None);
    config.set("stream.id", "calls").unwrap();
    assert_eq!(config.get("stream.id").as_deref(), Some("calls"));
    config.set("stream.id", "").unwrap();
    assert_eq!(config.get("stream.id"), None, "an empty text unsets an optional value");
    check_error(config.set("spool.path", ""), &["spool.path: must not be empty"]);
    check_error(config.set("stream.idle_time", "1s"), &["unknown key \"stream.idle_time\"", "\"stream.idle_timeout\""]);
}

#[test]
fn an_invalid_value_changes_nothing() {
    let mut config = Config::default();
    let before = config.get("mapping.columns");
    check_error(config.set("mapping.columns", "a=/x, a=/y"), &["mapping.columns", "twice"]);
    assert_eq!(config.get("mapping.columns"), before);
    assert!(config.mapping.update.is_some());
}

// The place of a mistake

#[test]
fn errors_name_the_line_of_a_file() {
    let check = |text: &str, parts: &[&str]| check_error(from_toml(text), parts);
    check("[oauth]\nclientid = 'x'", &["cxsink.toml:2:", "unknown key \"oauth.clientid\"", "\"oauth.client_id\""]);
    check("\n\n[strem]\nid = 'x'", &["cxsink.toml:3:", "unknown section \"strem\"", "\"stream\"", "dead_letters"]);
    check("client_id = 'x'", &["cxsink.toml:1:", "\"oauth.client_id\"", "section"]);
    check("stream = 'x'", &["cxsink.toml:1:", "stream is a section, not a key"]);
    check("[oauth]\n\nrefresh_early = 30", &["cxsink.toml:3:", "oauth.refresh_early", "30 has no unit", "\"30s\""]);
    check("[oauth]\nrefresh_early = 1.5", &["cxsink.toml:2:", "1.5 has no unit"]);
    check("[oauth]\nrefresh_early = '30'", &["cxsink.toml:2:", "30 has no unit"]);
    check("[oauth]\nrefresh_early = true", &["cxsink.toml:2:", "expected a duration, found TOML type boolean"]);
    check("[oauth]\nrequest_timeout = '0s'", &["cxsink.toml:2:", "0s is out of range", "10ms to 10m"]);
    check("[retry]\ndelay_max = '2h'", &["2h is out of range", "1ms to 1h"]);
    check("[batch]\nevents_max = 0", &["0 is out of range", "1 to 100000"]);
    check("[batch]\nevents_max = -1", &["-1 is out of range", "1 to 100000"]);
    check("[batch]\nevents_max = 99999999999999", &["out of range", "1 to 100000"]);
    check("[spool]\nbytes_max = 1", &["1B is out of range", "64KiB to 64TiB"]);
    check("[spool]\nbytes_max = -5", &["-5 is out of range", "64KiB to 64TiB"]);
    check("[spool]\nsync = 'yes'", &["\"yes\" is not one of \"process-crash\", \"power-loss\""]);
    check("[stream]\nid = 5", &["stream.id: expected a text, found TOML type integer"]);
    check("[stream]\nid = \"a\\nb\"", &["stream.id", "control character"]);
    check("[mapping]\ncolumns = 'a=/x'", &["mapping.columns", "expected a table of columns"]);
    check(
        "[mapping]\n[mapping.columns]\na = 'x'",
        &["cxsink.toml:2:", "mapping.columns", "not a JSON pointer", "/interactionId"],
    );
    check(
        "[mapping.columns]\na = { pointer = '/x', constant = 1 }",
        &["cxsink.toml:1:", "mapping.columns", "column \"a\" has `constant` and `pointer`"],
    );
    check("[mapping]\nkey = 'a'", &["mapping.key", "expected a list"]);
    check("[mapping]\nkey = []", &["mapping.key", "at least one column is required"]);
    check("[destination]\nurl = 'mysql://db'", &["cxsink.toml:2:", "destination.url", "postgresql://"]);
    check("[log]\nlevel = 'info'\nlevel = 'warn'", &["cxsink.toml:3:", "not valid TOML"]);
    check("[log\nlevel = 'info'", &["cxsink.toml:1:", "not valid TOML"]);
    check("[log]\nlevel = 'info", &["cxsink.toml:2:", "not valid TOML"]);
    // The error is about the first mistake in the file, not in the alphabet.
    check("[stream]\nx = 1\n[batch]\ny = 1", &["cxsink.toml:2:"]);
}

#[test]
fn errors_name_the_variable() {
    let check = |name: &str, value: &str, parts: &[&str]| {
        check_error(from_variables(&[("PATH", "/bin"), (name, value)]), &[parts, &["environment"]].concat());
        let dotenv = format!("PATH=/bin\n{name}='{value}'");
        check_error(Layers::default().dotenv(dotenv).config(), &[parts, &[".env:2"]].concat());
    };
    check("CXSINK_OAUTH_CLIENT_ID", "x", &["CXSINK_OAUTH_CLIENT_ID", "\"CXSINK_OAUTH__CLIENT_ID\""]);
    check("CXSINK_SPOOL__BYTE_MAX", "1GiB", &["\"CXSINK_SPOOL__BYTES_MAX\""]);
    check(
        "CXSINK_STREAM__PING_INTERVAL",
        "20",
        &["CXSINK_STREAM__PING_INTERVAL: stream.ping_interval: 20 has no unit"],
    );
    check("CXSINK_BATCH__EVENTS_MAX", "many", &["CXSINK_BATCH__EVENTS_MAX", "\"many\" is not a whole number"]);
    check("CXSINK_MAPPING__COLUMNS", "a", &["CXSINK_MAPPING__COLUMNS", "column=source"]);
    check("CXONE_STREAM_ID", "a\tb", &["CXONE_STREAM_ID", "control character"]);
    check("DATABASE_URL", "mysql://db/cx", &["DATABASE_URL", "postgresql://"]);
}

#[test]
fn variables_of_other_programs_are_ignored() {
    let config = from_variables(&[
        ("CXSINK_BIN", "/opt/bin/cxsink"),
        ("CXSINK_TEST_POSTGRES", "elsewhere"),
        ("CXSINK_SERVICE_HOST", "10.0.0.1"),
        ("CXSINK_SERVICE_PORT_HTTP", "80"),
        ("CXSINK_PORT", "tcp://10.0.0.1:80"),
        ("CXSINK_PORT_80_TCP_ADDR", "10.0.0.1"),
        ("CXSINK_UPDATE", "1"),
        ("CXSINK_OAUTH__CLIENT_ID", ""),
        ("DB_PASSWORD", "x"),
        ("PGUSER", "x"),
    ]);
    assert_eq!(destination(&config.unwrap()), None, "a user or a password alone does not locate a database");
}

#[cfg(unix)]
#[test]
fn a_variable_that_is_not_utf8_is_an_error_only_if_it_is_ours() {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;
    let bad = || OsString::from_vec(b"hunter2\xff".to_vec());
    let with = |name: &str| Layers::default().environment([(OsString::from(name), bad())]).config();
    check_error(with("DB_PASSWORD"), &["DB_PASSWORD: not UTF-8"]);
    assert!(with("LESSOPEN").is_ok());
}

#[test]
fn errors_name_an_unreadable_file() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing.toml");
    check_error(Config::load(&missing), &["cannot read the configuration file", "missing.toml"]);
    let binary = folder.path().join("binary.toml");
    std::fs::write(&binary, b"\xff\xfe").unwrap();
    check_error(Config::load(&binary), &["binary.toml", "UTF-8"]);
}

#[test]
fn load_reads_the_file_the_dotenv_file_and_the_environment_of_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let file = "[oauth]\nscope = 'from the file'\nclient_id = 'from the file'\n[stream]\nid = 'from the file'";
    std::fs::write(folder.path().join("cxsink.toml"), file).unwrap();
    std::fs::write(folder.path().join(".env"), "CXONE_CLIENT_ID='from .env'\nCXONE_STREAM_ID='from .env'").unwrap();
    let prepare = |command: &mut Command| {
        command.current_dir(folder.path()).env_clear().env("CXONE_STREAM_ID", "from the environment");
    };
    if !in_own_process(prepare) {
        return;
    }
    let config = Config::load("cxsink.toml").unwrap();
    assert_eq!(config.oauth.scope, "from the file");
    assert_eq!(config.oauth.client_id.as_deref(), Some("from .env"));
    assert_eq!(config.stream.id.as_deref(), Some("from the environment"));
    assert!(std::env::var_os("CXONE_CLIENT_ID").is_none(), "the process's environment was set");
    assert_eq!(Config::from_env().unwrap().oauth.scope, Config::default().oauth.scope);
    std::fs::remove_file(".env").unwrap();
    assert_eq!(Config::load("cxsink.toml").unwrap().oauth.client_id.as_deref(), Some("from the file"));
    std::fs::create_dir(".env").unwrap();
    assert_eq!(Config::load("cxsink.toml").unwrap().oauth.client_id.as_deref(), Some("from the file"));
}

// Precedence

#[test]
fn later_layers_override_earlier_ones() {
    let layers = Layers::default().file("cxsink.toml", "[stream]\nid = 'file'\n[batch]\nevents_max = 1");
    let id = |layers: &Layers| layers.config().unwrap().stream.id.unwrap();
    assert_eq!(id(&layers), "file");
    let layers = layers.dotenv("CXONE_STREAM_ID=dotenv");
    assert_eq!(id(&layers), "dotenv");
    let with = |variables: &[(&str, &str)]| id(&layers.clone().environment(variables.iter().copied()));
    assert_eq!(with(&[("CXONE_STREAM_ID", "environment")]), "environment");
    assert_eq!(with(&[("CXONE_STREAM_ID", "plain"), ("CXSINK_STREAM__ID", "named")]), "named");
    assert_eq!(with(&[("CXONE_STREAM_ID", "")]), "dotenv", "an empty variable counts as not set");
    assert_eq!(layers.config().unwrap().batch.events_max, 1, "a value that no later layer sets stays");
}

#[test]
fn a_deployment_variable_of_the_environment_overrides_a_named_one_of_dotenv() {
    let layers = Layers::default().dotenv("CXSINK_STREAM__ID=dotenv").environment([("CXONE_STREAM_ID", "environment")]);
    assert_eq!(layers.config().unwrap().stream.id.as_deref(), Some("environment"));
}

#[test]
fn the_destination_comes_from_the_first_of_its_variables() {
    let mut variables = vec![
        ("PGHOST", "pg"),
        ("PGDATABASE", "cx"),
        ("PGPORT", "1"),
        ("PGUSER", "u"),
        ("PGPASSWORD", "p"),
        ("DB_HOST", "db"),
        ("DB_NAME", "cx"),
        ("DB_USER", "u"),
        ("DB_PASSWORD", "p"),
        ("DATABASE_URL", "postgresql://url/cx"),
        ("CXSINK_DESTINATION__URL", "postgresql://named/cx"),
    ];
    let mut check = |left: usize, expected: &str| {
        variables.truncate(left);
        assert_eq!(destination(&from_variables(&variables).unwrap()), Some(expected));
    };
    check(11, "postgresql://named/cx");
    check(10, "postgresql://url/cx");
    check(9, "postgresql://u:p@db:5432/cx");
    // libpq's variables are defaults, stored beside the URL.
    check(5, "postgresql://");
}

#[test]
fn the_destination_is_composed_of_both_layers() {
    let layers = Layers::default()
        .dotenv("DB_HOST=/run/postgresql\nDB_NAME=db\nDB_USER=user\nDB_PASSWORD=old")
        .environment([("DB_PASSWORD", "p@ss/w:rd %")]);
    let expected = "postgresql://user:p%40ss%2Fw%3Ard%20%25@/db?host=/run/postgresql&port=5432";
    assert_eq!(destination(&layers.config().unwrap()), Some(expected));
}

#[test]
fn libpqs_variables_never_redirect_a_configured_destination() {
    let layers = Layers::default().environment([("PGHOST", "elsewhere")]);
    let configured = layers.clone().file("cxsink.toml", "[destination]\nurl = 'postgresql://here/cx'");
    assert_eq!(destination(&configured.config().unwrap()), Some("postgresql://here/cx"));
    assert_eq!(destination(&layers.config().unwrap()), Some("postgresql://"));
}

#[test]
fn the_proxy_comes_from_the_first_of_its_variables() {
    let check = |variables: &[(&str, &str)], expected: Option<&str>| {
        let config = from_variables(variables).unwrap();
        assert_eq!(config.get("proxy.url").as_deref(), expected, "{variables:?}");
    };
    let all = [
        ("ALL_PROXY", "http://all-capital:1"),
        ("all_proxy", "http://all-small:1"),
        ("HTTPS_PROXY", "http://capital:1"),
        ("https_proxy", "small:1"),
        ("CXSINK_PROXY__URL", "https://me:hunter2@own:1"),
    ];
    check(&all, Some("https://me:***@own:1"));
    check(&all[..4], Some("small:1"));
    check(&all[..3], Some("http://capital:1"));
    check(&all[..2], Some("http://all-small:1"));
    check(&all[..1], Some("http://all-capital:1"));
    check(&[("HTTP_PROXY", "http://plain:1"), ("http_proxy", "http://plain:1"), ("HTTPS_PROXY", "")], None);

    // A file and `.env` set `proxy.url` as well.
    let layers = Layers::default().environment([("HTTPS_PROXY", "http://out:1")]);
    let file = layers.clone().file("c.toml", "[proxy]\nurl = \"http://own:1\"").config().unwrap();
    assert_eq!(file.get("proxy.url").as_deref(), Some("http://own:1"));
    let dotenv = layers.dotenv("https_proxy=http://in-dotenv:1").config().unwrap();
    assert_eq!(dotenv.get("proxy.url").as_deref(), Some("http://in-dotenv:1"));

    check_error(
        from_variables(&[("ALL_PROXY", "socks5://me:hunter2@p:1")]),
        &["environment: ALL_PROXY", "SOCKS", "unset"],
    );
}

#[test]
fn no_proxy_variables_add_to_this_machine() {
    let no_proxy = |variables: &[(&str, &str)]| from_variables(variables).unwrap().proxy.no_proxy.unwrap();
    assert_eq!(no_proxy(&[]), "localhost,127.0.0.0/8,::1");
    assert_eq!(no_proxy(&[("NO_PROXY", ".corp")]), ".corp,localhost,127.0.0.0/8,::1");
    assert_eq!(no_proxy(&[("NO_PROXY", ".corp"), ("no_proxy", "*")]), "*,localhost,127.0.0.0/8,::1");
    assert_eq!(no_proxy(&[("NO_PROXY", ".corp"), ("CXSINK_PROXY__NO_PROXY", "own")]), "own");
}

#[test]
fn errors_name_an_invalid_port() {
    for port in ["x", "0", "65536", "5432 ", "+1"] {
        check_error(from_variables(&[("DB_HOST", "db"), ("DB_PORT", port)]), &["environment: DB_PORT", "1 to 65535"]);
    }
    check_error(
        from_variables(&[("DB_HOST", "a,b,c"), ("DB_PORT", "1,2")]),
        &["environment: DB_PORT", "2 ports for 3 hosts"],
    );
    check_error(from_variables(&[("DB_HOST", "db"), ("DB_PORT", "tcp://10.0.0.1:5432")]), &["Kubernetes"]);
}

#[test]
fn a_variable_that_is_overridden_within_its_layer_is_not_checked() {
    let bad_port = [("DATABASE_URL", "sqlite:x.db"), ("DB_HOST", "db"), ("DB_PORT", "x")];
    assert_eq!(destination(&from_variables(&bad_port).unwrap()), Some("sqlite:x.db"));
    let another_programs = [("DATABASE_URL", "mysql://db"), ("CXSINK_DESTINATION__URL", "sqlite:x.db")];
    assert_eq!(destination(&from_variables(&another_programs).unwrap()), Some("sqlite:x.db"));
}

// The mapping

#[test]
fn setting_columns_unsets_the_default_updates() {
    let columns = "[mapping]\ncolumns = { idempotency_key = '/idempotencyKey', x = '/x' }\n";
    let config = from_toml(columns).unwrap();
    assert_eq!((config.mapping.key, config.mapping.update), (vec!["idempotency_key".to_owned()], None));

    let config = from_toml(&format!("{columns}update = ['x']")).unwrap();
    assert_eq!(config.mapping.update, Some(vec!["x".into()]));
    let config = from_toml(&format!("{columns}update = []")).unwrap();
    assert_eq!(config.mapping.update, Some(vec![]), "none is a choice as well");

    // Chosen in one layer, columns in the next; also if the choice is the same as the default's list.
    let list = Config::default().get("mapping.update").unwrap();
    let layers = Layers::default()
        .dotenv(format!("CXSINK_MAPPING__UPDATE='{list}'"))
        .environment([("CXSINK_MAPPING__COLUMNS", "idempotency_key=/idempotencyKey, duration=/x, y=/y")]);
    assert_eq!(layers.config().unwrap().get("mapping.update"), Some(list));
}

#[test]
fn columns_below_their_own_heading_keep_their_order() {
    let config =
        from_toml("[mapping.columns]\nz = 'now'\na = 'rest'\nidempotency_key = '/idempotencyKey'\n\"b,c\" = ''")
            .unwrap();
    let shown = r#"{"z" = "now", "a" = "rest", "idempotency_key" = "/idempotencyKey", "b,c" = ""}"#;
    assert_eq!(config.get("mapping.columns").as_deref(), Some(shown));
}

// Secrets

#[test]
fn no_secret_is_ever_shown() {
    let toml =
        "[oauth]\nclient_secret = 'hunter2'\n[destination]\nurl = 'postgresql://me:hunter2@db/cx?sslmode=require'";
    let mut config = from_toml(toml).unwrap();
    assert_eq!(config.get("oauth.client_secret").as_deref(), Some("***"));
    assert_eq!(config.get("destination.url").as_deref(), Some("postgresql://me:***@db/cx?sslmode=require"));
    let layers = Layers::default()
        .file("x.toml", toml)
        .dotenv("CXONE_CLIENT_SECRET=hunter2")
        .environment([("DB_PASSWORD", "hunter2")]);
    let mut errors = vec![
        from_toml("[oauth]\nclient_secret = 'hunter2").unwrap_err(),
        from_toml("[oauth]\nclient_secret = hunter2").unwrap_err(),
        from_toml("[oauth]\nclient_secret = ['hunter2']").unwrap_err(),
        from_toml("[oauth]\nclient_secret = \"hunter2\\n\"").unwrap_err(),
        from_toml("[destination]\nurl = 'me:hunter2@db'").unwrap_err(),
        from_toml("[stream]\nurl = 'wss://me:hunter2@host/'").unwrap_err(),
        from_variables(&[("CXONE_CLIENT_SECRET", "hunter2\n")]).unwrap_err(),
        from_variables(&[("DATABASE_URL", "hunter2")]).unwrap_err(),
        from_variables(&[("CXSINK_OAUTH__SECRET", "hunter2")]).unwrap_err(),
        Layers::default().dotenv("CXONE_CLIENT_SECRET=hunter2 hunter2").config().unwrap_err(),
        config.set("destination.url", "hunter2://x").unwrap_err(),
        config.set("proxy.url", "http://me:hunter2@proxy").unwrap_err(),
        config.set("proxy.url", "hunter2://me@proxy:1").unwrap_err(),
        from_variables(&[("HTTPS_PROXY", "socks5://me:hunter2@proxy:1")]).unwrap_err(),
    ];
    config.set("proxy.url", "http://me:hunter2@proxy:3128").unwrap();
    assert_eq!(config.get("proxy.url").as_deref(), Some("http://me:***@proxy:3128"));
    config.oauth.client_secret_file = Some("secret.txt".into());
    errors.push(config.validate().unwrap_err());
    for shown in
        errors.iter().map(|e| format!("{e} {e:?} {}", e.detail_json())).chain([format!("{config:?} {layers:?}")])
    {
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

// The whole

#[test]
fn a_complete_configuration_is_valid() {
    let config = complete();
    config.validate().unwrap();
    assert!(config.has_stream());
    assert_eq!(config.stream_url().unwrap(), "wss://api.cxp.cxone.com/data-actions/v1/stream/calls");
}

#[test]
fn a_sink_without_a_stream_is_valid() {
    let config = from_variables(&[("DATABASE_URL", "sqlite:events.db")]).unwrap();
    config.validate().unwrap();
    assert!(!config.has_stream());
    check_error(config.stream_url(), &["stream.id is missing", "CXONE_STREAM_ID"]);
}

#[test]
fn any_setting_of_a_stream_requires_the_others() {
    for (key, value) in [
        ("stream.id", "calls"),
        ("stream.url", "wss://example.com/fixed"),
        ("oauth.client_id", "id"),
        ("oauth.client_secret", "secret"),
        ("oauth.client_secret_file", "secret.txt"),
    ] {
        let mut config = from_variables(&[("DATABASE_URL", "sqlite:events.db")]).unwrap();
        config.set(key, value).unwrap();
        assert!(config.has_stream(), "{key}");
        check_error(config.validate(), &["is missing"]);
    }
}

#[test]
fn a_stream_id_is_one_segment_of_the_path() {
    let mut config = complete();
    config.stream.id = Some("a/b?c d".into());
    assert!(config.stream_url().unwrap().ends_with("/stream/a%2Fb%3Fc%20d"));
    config.stream.id = Some("..".into());
    check_error(config.stream_url(), &["stream.id"]);
    config.stream.url = "wss://example.com/fixed".into();
    config.stream.id = None;
    assert_eq!(config.stream_url().unwrap(), "wss://example.com/fixed");
    config.validate().unwrap();
}

#[test]
fn errors_name_missing_and_contradicting_values() {
    let check = |change: fn(&mut Config), parts: &[&str]| {
        let mut config = complete();
        change(&mut config);
        check_error(config.validate(), parts);
    };
    check(|c| c.stream.id = None, &["stream.id is missing", "CXONE_STREAM_ID"]);
    check(|c| c.oauth.client_id = None, &["oauth.client_id is missing", "CXONE_CLIENT_ID"]);
    check(|c| c.oauth.client_secret = None, &["oauth.client_secret is missing", "CXONE_CLIENT_SECRET"]);
    check(|c| c.oauth.client_secret_file = Some("x".into()), &["oauth.client_secret_file are both set"]);
    check(|c| c.destination.url = None, &["destination.url is missing", "DATABASE_URL", "DB_HOST"]);
    check(|c| c.destination.password_file = Some("x".into()), &["destination.password_file", "destination.url"]);
    check(
        |c| c.stream.url = "ws://example.com/{stream_id}".into(),
        &["stream.url", "unencrypted", "example.com", "wss://"],
    );
    check(|c| c.oauth.url = "http://example.com/".into(), &["oauth.url", "unencrypted", "https://"]);
    check(|c| c.oauth.url = "ftp://example.com/".into(), &["oauth.url", "scheme"]);
    check(|c| c.destination.url = Some("mysql://db".into()), &["destination.url", "postgresql://"]);
    check(|c| c.stream.ping_interval = c.stream.idle_timeout, &["stream.ping_interval", "stream.idle_timeout"]);
    check(|c| c.retry.delay_min = Duration::from_secs(31), &["retry.delay_min", "retry.delay_max"]);
    check(|c| c.oauth.request_timeout = Duration::ZERO, &["oauth.request_timeout", "10ms to 10m"]);
    check(|c| c.oauth.refresh_early = Duration::from_secs(3600), &["oauth.refresh_early", "0s to 30m"]);
    check(|c| c.batch.events_max = 0, &["batch.events_max", "1 to 100000"]);
    check(|c| c.destination.table = String::new(), &["destination.table", "empty"]);
    check(|c| c.spool.path = "".into(), &["spool.path", "empty"]);
    check(|c| c.mapping.key = vec!["x".into()], &["mapping.key", "\"x\" is not in mapping.columns"]);
    check(|c| c.mapping.key = vec![], &["mapping.key", "at least one column is required"]);
    check(|c| c.mapping.key = vec!["updated_at".into()], &["mapping.key", "is `now`"]);
    check(|c| c.mapping.update = Some(vec!["x".into()]), &["mapping.update", "\"x\" is not in mapping.columns"]);
    check(|c| c.mapping.update = Some(vec!["idempotency_key".into()]), &["mapping.update", "part of mapping.key"]);
    check(|c| c.tls.cert_file = Some("x".into()), &["tls.cert_file is set and tls.key_file is not"]);
    check(|c| c.tls.key_file = Some("x".into()), &["tls.key_file is set and tls.cert_file is not"]);
    check(|c| c.proxy.url = Some("socks5://p:1".into()), &["proxy.url", "SOCKS"]);
    check(|c| c.proxy.url = Some("http://p".into()), &["proxy.url", "the port is missing"]);
    let two_passwords = |c: &mut Config| {
        c.proxy.url = Some("http://me:pw@p:1".into());
        c.proxy.password_file = Some("x".into());
    };
    check(two_passwords, &["proxy.password_file", "proxy.url contains a password"]);
    let no_user = |c: &mut Config| {
        c.proxy.url = Some("http://p:1".into());
        c.proxy.password_file = Some("x".into());
    };
    check(no_user, &["proxy.password_file", "contains no user"]);
    let no_file = |c: &mut Config| {
        c.proxy.url = Some("http://me@p:1".into());
        c.proxy.password_file = Some("/nowhere/password".into());
    };
    check(no_file, &["proxy.password_file", "/nowhere/password"]);
    let same_file = |c: &mut Config| {
        c.destination.url = Some("sqlite:x.db".into());
        c.spool.path = "x.db".into();
    };
    check(same_file, &["destination.url and spool.path are the same file"]);
}

#[test]
fn plain_connections_to_this_machine_are_valid() {
    let mut config = complete();
    config.oauth.url = "http://127.0.0.1:8080/oauth/token".into();
    config.stream.url = "ws://[::1]:8080/stream/{stream_id}".into();
    config.validate().unwrap();
}

// Properties

/// Text that resembles a configuration.
fn toml_like() -> impl Strategy<Value = String> {
    let key = prop::sample::select(config::keys().filter_map(|key| key.split_once('.')).collect::<Vec<_>>());
    let value = prop::sample::select(vec![
        "1",
        "-1",
        "'30s'",
        "'1GiB'",
        "[]",
        "['a']",
        "{a='/x'}",
        "{a=1}",
        "true",
        "1e9",
        "'",
        "''",
        "1979-05-27",
        "0xff",
    ]);
    let line = (key, value).prop_map(|((section, key), value)| format!("{section}.{key} = {value}\n"));
    prop::collection::vec(prop_oneof![4 => line, 1 => "\\[[a-z.]{0,12}\\]\n", 1 => ".{0,20}\n"], 0..8)
        .prop_map(|lines| lines.concat())
}

proptest! {
    // A failure prints its input, which then becomes a test.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_file_panics(text in prop_oneof![".*", toml_like()]) {
        if let Ok(config) = from_toml(&text) {
            let _ = config.validate();
        }
    }

    #[test]
    fn no_value_panics(key in prop::sample::select(config::keys().collect::<Vec<_>>()), text in ".*") {
        let mut config = Config::default();
        if config.set(key, &text).is_ok() {
            let _ = (config.validate(), config.get(key));
        }
    }

    #[test]
    fn the_topmost_layer_that_sets_a_key_wins(
        values in prop::collection::vec(prop::array::uniform5(prop::option::of(1_u32..1000)), 1..5),
    ) {
        // Per key: file, `.env`, environment.
        let keys = ["batch.events_max", "stream.idle_timeout", "spool.bytes_max", "retry.delay_max"];
        let text = |key: &str, n: u32| match key {
            "batch.events_max" => n.to_string(),
            "spool.bytes_max" => format!("{n}MiB"),
            _ => format!("{n}s"),
        };
        let variable = |key: &str| format!("CXSINK_{}", key.replace('.', "__").to_uppercase());
        let (mut file, mut dotenv, mut environment) = (String::new(), String::new(), Vec::new());
        for (key, layers) in keys.iter().zip(&values) {
            file.extend(layers[0].map(|n| format!("{key} = '{}'\n", text(key, n))));
            dotenv.extend(layers[1].map(|n| format!("{}={}\n", variable(key), text(key, n))));
            environment.extend(layers[2].map(|n| (variable(key), text(key, n))));
        }
        let config = Layers::default().file("x.toml", file).dotenv(dotenv).environment(environment).config().unwrap();
        let read = |key: &str, n: u32| {
            let mut config = Config::default();
            config.set(key, &text(key, n)).unwrap();
            config.get(key)
        };
        for (key, layers) in keys.iter().zip(&values) {
            let expected = layers[2].or(layers[1]).or(layers[0]).map_or_else(|| Config::default().get(key), |n| read(key, n));
            prop_assert_eq!(config.get(key), expected, "{}", key);
        }
    }

    #[test]
    fn parts_of_a_destination_never_leak_and_never_break_it(
        password in "[ -~é]{1,20}", user in "[ -~]{1,10}", name in "[ -~]{1,10}",
    ) {
        let variables = [("DB_HOST", "db"), ("DB_USER", &*user), ("DB_NAME", &*name), ("DB_PASSWORD", &*password)];
        let config = from_variables(&variables).unwrap();
        let url = destination(&config).unwrap();
        prop_assert_eq!(url.matches('@').count(), 1, "{}", url);
        prop_assert_eq!(url.matches('/').count(), 3, "{}", url);
        let shown = config.get("destination.url").unwrap();
        prop_assert!(shown.contains(":***@db:5432/"), "{}", shown);
    }
}

#[test]
fn without_layers_the_configuration_is_the_default() {
    let config = Layers::default().environment(NO_VARIABLES).config().unwrap();
    assert_eq!(format!("{config:?}"), format!("{:?}", Config::default()));
}

/// The client reads the values that the deployment set, with any characters.
#[cfg(unix)]
mod in_the_client {
    use postgres::config::Host;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn parts_of_a_destination_arrive_unchanged(
            host in "([a-z][a-z.]{0,9}|/[ -+.-~é]{0,20}|10[.]0[.]0[.]1)", port in 1_u16..,
            user in prop::option::of("[ -~é]{1,10}"), name in "[ -~é]{1,10}", password in prop::option::of("[ -~é]{1,20}"),
        ) {
            let port_text = port.to_string();
            let mut variables = vec![("DB_HOST", &*host), ("DB_PORT", &*port_text), ("DB_NAME", &*name)];
            variables.extend(user.as_deref().map(|user| ("DB_USER", user)));
            variables.extend(password.as_deref().map(|password| ("DB_PASSWORD", password)));
            let config = from_variables(&variables).unwrap();
            let read: postgres::Config = destination(&config).unwrap().parse().unwrap();
            let host_read = match &read.get_hosts()[0] {
                Host::Tcp(host) => host.clone(),
                Host::Unix(folder) => folder.to_string_lossy().into_owned(),
            };
            prop_assert_eq!((host_read, read.get_hosts().len()), (host, 1));
            prop_assert_eq!(read.get_ports(), [port]);
            prop_assert_eq!(read.get_user(), user.as_deref());
            prop_assert_eq!(read.get_dbname(), Some(&*name));
            prop_assert_eq!(read.get_password(), password.as_deref().map(str::as_bytes));
        }
    }

    #[test]
    fn an_address_of_ipv6_and_a_list_of_hosts_arrive_unchanged() {
        let read = |variables: &[(&str, &str)]| -> postgres::Config {
            destination(&from_variables(variables).unwrap()).unwrap().parse().unwrap()
        };
        let ipv6 = read(&[("DB_HOST", "2001:db8::1"), ("DB_PORT", "6432")]);
        assert_eq!((ipv6.get_hosts(), ipv6.get_ports()), (&[Host::Tcp("2001:db8::1".into())][..], &[6432][..]));
        let list = read(&[("DB_HOST", "a,b"), ("DB_PORT", "1,2")]);
        assert_eq!(list.get_hosts(), [Host::Tcp("a".into()), Host::Tcp("b".into())]);
        assert_eq!(list.get_ports(), [1, 2]);
        let list = read(&[("DB_HOST", "a,/run/postgresql")]);
        assert_eq!(list.get_hosts(), [Host::Tcp("a".into()), Host::Unix("/run/postgresql".into())]);
        assert_eq!(list.get_ports(), [5432, 5432]);
    }
}
