//! Real connections: each `sslmode` with and without TLS at the server, certificates of both sides, passwords of each kind.
#![cfg(unix)]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::*;
use crate::config::TlsConfig;
use crate::config::database::libpq::{Libpq, LibpqVariable};
use crate::destination::postgres::test_server::{PATIENCE, PrivateServer, config};
use crate::net::tls::authority::{Authority, Certified};

const ACCESS: &str = "
local all all trust
host all postgres 127.0.0.1/32 scram-sha-256
host all open 127.0.0.1/32 trust
hostssl all tls_only 127.0.0.1/32 trust
hostnossl all plain_only 127.0.0.1/32 trust
hostssl all certified 127.0.0.1/32 cert
host all scram 127.0.0.1/32 scram-sha-256
host all md5 127.0.0.1/32 md5
";
const USERS: &str = "
SET password_encryption = 'scram-sha-256';
CREATE ROLE open LOGIN; CREATE ROLE tls_only LOGIN; CREATE ROLE plain_only LOGIN; CREATE ROLE certified LOGIN;
CREATE ROLE scram LOGIN PASSWORD 'hunter2';
SET password_encryption = 'md5';
CREATE ROLE md5 LOGIN PASSWORD 'hunter2'";

/// A server with these users, an authority that signs its certificate, another one for its clients, and a directory for files.
struct Fixture {
    server: PrivateServer,
    ours: Authority,
    clients: Authority,
    folder: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Self {
        let server = PrivateServer::start_new();
        server.execute(USERS);
        let fixture =
            Self { server, ours: Authority::new(), clients: Authority::new(), folder: tempfile::tempdir().unwrap() };
        fixture.server.write("pg_hba.conf", ACCESS);
        fixture.without_tls();
        fixture.file("ours.pem", &fixture.ours.pem, 0o644);
        fixture.file("others.pem", &Authority::new().pem, 0o644);
        fixture
    }

    fn without_tls(&self) {
        self.server.set("ssl = off");
    }

    fn with_tls(&self, certified: &Certified) {
        self.server.write("server.crt", &certified.certificate);
        self.server.write("server.key", &certified.key);
        self.server.write("clients.pem", &self.clients.pem);
        self.server.set("ssl = on\nssl_ca_file = 'clients.pem'");
    }

    fn file(&self, name: &str, text: &str, mode: u32) {
        let file = self.folder.path().join(name);
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    fn client_files(&self, certified: &Certified, key_mode: u32) {
        self.file("client.crt", &certified.certificate, 0o644);
        self.file("client.key", &certified.key, key_mode);
    }

    /// Connects to `db.example`, which is this server; replaces `FOLDER` by the directory of the files.
    fn connect(&self, parameters: &str) -> Result<String> {
        self.connect_with(parameters, &TlsConfig::default(), Libpq::default())
    }

    fn connect_with(&self, parameters: &str, tls: &TlsConfig, libpq: Libpq) -> Result<String> {
        let address = self.server.address();
        let parameters = parameters.replace("FOLDER", self.folder.path().to_str().unwrap());
        let text = format!(
            "host=db.example hostaddr={} port={} dbname=postgres user=open {parameters}",
            address.ip(),
            address.port()
        );
        let config = DestinationConfig { libpq, ..config(&text, "t") };
        let mut destination = PostgresDestination::new(&config, tls, StopSignal::new())?;
        destination.server.ensure_session()?;
        let sql = "SELECT CASE WHEN ssl THEN version || coalesce(' ' || client_dn, '') ELSE 'plain' END
                   FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
        let rows =
            destination.server.session().unwrap().run("testing", PATIENCE, |client| client.query_typed(sql, &[]))?;
        Ok(rows[0].get(0))
    }

    /// `expected`: the state of the connection, or a part of the error.
    fn check(&self, parameters: &str, expected: &str) {
        check(parameters, self.connect(parameters), expected);
    }
}

fn check(what: &str, outcome: Result<String>, expected: &str) {
    match outcome {
        Ok(found) => assert_eq!(found, expected, "{what}"),
        Err(error) => {
            // An error may contain these words too, as the name of a user.
            assert!(expected != PLAIN && !expected.starts_with("TLSv"), "{what}: not connected: {error:?}");
            assert!(error.message().contains(expected), "{what}: {error:?} does not say {expected:?}");
            assert!(error.hint().is_some(), "{what}: {error:?}");
            assert!(!format!("{error:?}").contains("hunter2"), "{what}: {error:?}");
        }
    }
}

const PLAIN: &str = "plain";
const TLS: &str = "TLSv1.3";
const NO_TLS: &str = "does not offer TLS";
const NOT_TRUSTED: &str = "signed by an authority that is not trusted";

#[test]
fn each_sslmode_does_what_libpq_documents() {
    let fixture = Fixture::new();
    // Parameters, and the result without and with TLS at the server.
    let cases = [
        ("sslmode=disable", PLAIN, PLAIN),
        ("sslmode=allow", PLAIN, PLAIN),
        ("sslmode=allow user=tls_only", "no pg_hba.conf entry", TLS),
        ("sslmode=prefer", PLAIN, TLS),
        ("", PLAIN, TLS),
        ("sslmode=prefer user=plain_only", PLAIN, PLAIN),
        ("sslmode=require", NO_TLS, TLS),
        ("sslmode=require user=plain_only", NO_TLS, "no pg_hba.conf entry"),
        ("sslmode=require ssl_min_protocol_version=TLSv1.3", NO_TLS, TLS),
        ("sslmode=require sslrootcert=FOLDER/ours.pem", NO_TLS, TLS),
        ("sslmode=require sslrootcert=FOLDER/others.pem", NO_TLS, NOT_TRUSTED),
        ("sslmode=verify-ca sslrootcert=FOLDER/ours.pem", NO_TLS, TLS),
        ("sslmode=verify-ca sslrootcert=FOLDER/ours.pem host=other.example", NO_TLS, TLS),
        ("sslmode=verify-ca sslrootcert=FOLDER/others.pem", NO_TLS, NOT_TRUSTED),
        ("sslmode=verify-full sslrootcert=FOLDER/ours.pem", NO_TLS, TLS),
        ("sslmode=verify-full sslrootcert=FOLDER/ours.pem sslsni=0", NO_TLS, TLS),
        (
            "sslmode=verify-full sslrootcert=FOLDER/ours.pem host=other.example",
            NO_TLS,
            "is not for other.example, but for",
        ),
        ("sslmode=verify-full sslrootcert=FOLDER/others.pem", NO_TLS, NOT_TRUSTED),
        ("sslmode=verify-full", NO_TLS, NOT_TRUSTED),
        ("sslrootcert=system", NO_TLS, NOT_TRUSTED),
    ];
    for (parameters, without, _) in cases {
        fixture.check(parameters, without);
    }
    fixture.with_tls(&fixture.ours.server(&["db.example"]));
    for (parameters, _, with) in cases {
        fixture.check(parameters, with);
    }
    fixture.check("sslmode=verify-ca sslrootcert=FOLDER/missing.pem", "sslrootcert: reading ");
    // `[tls]` supplies what the parameters leave open.
    let trusting = |name: &str| TlsConfig { ca_file: Some(fixture.folder.path().join(name)), ..TlsConfig::default() };
    let connect = |parameters: &str, name: &str| fixture.connect_with(parameters, &trusting(name), Libpq::default());
    check("[tls]", connect("sslmode=verify-full", "ours.pem"), TLS);
    check("[tls]", connect("sslmode=verify-full", "others.pem"), NOT_TRUSTED);
    check("[tls]", connect("sslmode=verify-full sslrootcert=FOLDER/ours.pem", "others.pem"), TLS);
    check("[tls]", connect("sslmode=require", "others.pem"), TLS);

    fixture.with_tls(&fixture.ours.server_valid(&["db.example"], 2020..2024));
    fixture.check("sslmode=verify-full sslrootcert=FOLDER/ours.pem", "expired on 2024-01-01");
    fixture.check("sslmode=require", TLS);
    // The manual's recipe: a certificate that is its own authority.
    fixture.with_tls(&fixture.ours.itself());
    fixture.check("sslmode=verify-ca sslrootcert=FOLDER/ours.pem", TLS);
    fixture.check("sslmode=verify-ca sslrootcert=FOLDER/others.pem", "certificate");
    fixture.check("sslmode=verify-full sslrootcert=FOLDER/ours.pem", "no name");
}

#[test]
fn a_refused_certificate_is_a_mismatch_and_a_missing_file_fails_before_connecting() {
    let fixture = Fixture::new();
    fixture.with_tls(&fixture.ours.server(&["db.example"]));
    let error = fixture.connect("sslmode=verify-full sslrootcert=FOLDER/others.pem").unwrap_err();
    assert_eq!(
        (error.class(), error.kind()),
        (Class::Mismatch, ErrorKind::Connect),
        "start() fails with it: {error:?}"
    );
    assert!(error.hint().unwrap().contains("sslrootcert"), "{error:?}");
    let error = fixture.connect("sslmode=verify-full sslrootcert=FOLDER/ours.pem host=other.example").unwrap_err();
    assert!(error.hint().unwrap().contains("subject alternative name"), "{error:?}");
    let config = config("host=127.0.0.1 port=1 sslmode=verify-ca sslrootcert=/nowhere/ca.pem", "t");
    let error = PostgresDestination::new(&config, &TlsConfig::default(), StopSignal::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
}

#[test]
fn certificates_that_are_not_supported_are_named() {
    let fixture = Fixture::new();
    let check = |both: &str, what: &str, hint: &str| {
        fixture.with_tls(&Certified { certificate: both.into(), key: both.into() });
        let error = fixture.connect("sslmode=require").unwrap_err();
        assert_eq!((error.class(), error.kind()), (Class::Mismatch, ErrorKind::Connect), "{error:?}");
        assert!(error.message().contains(what) && error.hint().unwrap().contains(hint), "{error:?}");
        // With a warning: `falling_back_to_a_plain_connection_is_a_warning`.
        fixture.check("sslmode=prefer", PLAIN);
    };
    // rcgen makes none of these, so they are files: by `openssl x509 -req` without -extfile, and `openssl req -x509`.
    check(include_str!("../../../net/tls/testdata/v1.pem"), "is of X.509 version 1", "version 3");
    check(include_str!("../../../net/tls/testdata/p521.pem"), "no algorithm in common", "P-521");
    check(include_str!("../../../net/tls/testdata/ed448.pem"), "no algorithm in common", "Ed448");
}

#[test]
fn client_certificates_are_sent_on_request() {
    let fixture = Fixture::new();
    fixture.with_tls(&fixture.ours.server(&["db.example"]));
    let with = "user=certified sslmode=require sslcert=FOLDER/client.crt sslkey=FOLDER/client.key";
    fixture.client_files(&fixture.clients.client("certified"), 0o600);
    fixture.check(with, "TLSv1.3 /CN=certified");
    fixture.check("user=certified sslmode=require", "requires a valid client certificate");
    fixture.check(&format!("{with} sslcertmode=disable"), "requires a valid client certificate");
    let tls = TlsConfig {
        cert_file: Some(fixture.folder.path().join("client.crt")),
        key_file: Some(fixture.folder.path().join("client.key")),
        ..TlsConfig::default()
    };
    check(
        "[tls]",
        fixture.connect_with("user=certified sslmode=require", &tls, Libpq::default()),
        "TLSv1.3 /CN=certified",
    );

    fixture.client_files(&fixture.clients.client("other"), 0o600);
    fixture.check(with, "certificate authentication failed");
    fixture.client_files(&fixture.ours.client("certified"), 0o600);
    fixture.check(with, "requires a client certificate that it accepts");
    fixture.client_files(&fixture.clients.client("certified"), 0o644);
    fixture.check(with, "is readable by other users");
    fixture.client_files(&fixture.clients.client("certified"), 0o600);
    fixture.file("client.key", &fixture.clients.client("certified").key, 0o600);
    fixture.check(with, "the key does not belong to the first certificate");
    fixture.file("client.key", "hunter2", 0o600);
    fixture.check(with, "sslkey: reading ");
}

/// Certificates expire while a sink runs: the next connection uses the files of that moment.
#[test]
fn certificates_are_read_again_for_each_connection() {
    let fixture = Fixture::new();
    fixture.with_tls(&fixture.ours.server(&["db.example"]));
    fixture.client_files(&fixture.clients.client("certified"), 0o600);
    let folder = fixture.folder.path().display();
    let address = fixture.server.address();
    let text = format!(
        "host=db.example hostaddr=127.0.0.1 port={} dbname=postgres user=certified sslmode=verify-full \
         sslrootcert={folder}/ours.pem sslcert={folder}/client.crt sslkey={folder}/client.key",
        address.port()
    );
    let mut destination =
        PostgresDestination::new(&config(&text, "t"), &TlsConfig::default(), StopSignal::new()).unwrap();
    let mut connect = || {
        destination.disconnect();
        destination.server.ensure_session().map(drop)
    };
    connect().unwrap();
    fixture.client_files(&fixture.ours.client("certified"), 0o600);
    assert_eq!(connect().unwrap_err().class(), Class::Mismatch);
    fixture.client_files(&fixture.clients.client("certified"), 0o600);
    connect().unwrap();
    let successor = Authority::new();
    fixture.with_tls(&successor.server(&["db.example"]));
    assert!(connect().unwrap_err().message().contains(NOT_TRUSTED));
    fixture.file("ours.pem", &successor.pem, 0o644);
    connect().unwrap();
}

#[test]
fn passwords_work_by_scram_and_md5_and_scram_with_channel_binding() {
    let fixture = Fixture::new();
    let unbound = "channel binding";
    let cases = [
        ("user=scram password=hunter2", PLAIN, TLS),
        ("user=md5 password=hunter2", PLAIN, TLS),
        ("user=scram password=wrong", "28P01", "28P01"),
        ("user=md5 password=wrong", "28P01", "28P01"),
        ("user=scram", "requires a password", "requires a password"),
        ("user=scram password=hunter2 channel_binding=disable", PLAIN, TLS),
        ("user=scram password=hunter2 channel_binding=require", unbound, TLS),
        ("user=md5 password=hunter2 channel_binding=require", unbound, unbound),
        ("user=open channel_binding=require", unbound, unbound),
    ];
    for (parameters, without, _) in cases {
        fixture.check(parameters, without);
    }
    fixture.with_tls(&fixture.ours.server(&["db.example"]));
    for (parameters, _, with) in cases {
        fixture.check(parameters, with);
    }
}

#[test]
fn password_files_services_and_the_environment_lead_to_a_connection() {
    let fixture = Fixture::new();
    let port = fixture.server.address().port();
    fixture.file("pgpass", &format!("db.example:{port}:postgres:scram:hunter2\n*:*:*:*:wrong\n"), 0o600);
    fixture.check("user=scram passfile=FOLDER/pgpass", PLAIN);
    fixture.check("user=scram passfile=FOLDER/pgpass password=wrong", "28P01");
    fixture.check("user=md5 passfile=FOLDER/pgpass", "28P01");
    fixture.check("user=scram passfile=FOLDER/missing", "requires a password");
    fixture.file("pgpass", &format!("db.example:{port}:postgres:scram:hunter2\n"), 0o640);
    let error = fixture.connect("user=scram passfile=FOLDER/pgpass").unwrap_err();
    assert!(error.hint().unwrap().contains("chmod 0600"), "{error:?}");

    fixture.file("services", "[cx]\nuser=scram\npassword=hunter2\n", 0o600);
    let folder = fixture.folder.path().to_str().unwrap();
    let connect = |text: &str, variables: &[(&'static str, String)]| {
        let variables = variables.iter().map(|(parameter, value)| LibpqVariable {
            variable: "PGVARIABLE",
            parameter,
            value: value.as_str().into(),
        });
        let libpq =
            Libpq { variables: variables.collect(), home: Some(fixture.folder.path().into()), ..Libpq::default() };
        let config = DestinationConfig { libpq, ..config(text, "t") };
        let mut destination = PostgresDestination::new(&config, &TlsConfig::default(), StopSignal::new())?;
        destination.server.ensure_session()?;
        let sql = "SELECT session_user::text || ' ' || current_setting('application_name')";
        let rows =
            destination.server.session().unwrap().run("testing", PATIENCE, |client| client.query_typed(sql, &[]))?;
        Ok(rows[0].get(0))
    };
    let place = [("hostaddr", "127.0.0.1".to_owned()), ("port", port.to_string()), ("dbname", "postgres".into())];
    let service = [("servicefile", format!("{folder}/services"))];
    let named = [("service", "cx".to_owned())];
    let variables = [&place[..], &service[..], &named[..]].concat();
    check("a service", connect("postgresql://", &variables), "scram cxsink");
    let file = [&place[..], &service[..]].concat();
    check("a service", connect("service=cx application_name=x", &file), "scram x");
    check("the environment", connect("user=open", &place), "open cxsink");
    let password = [&place[..], &[("password", "hunter2".to_owned())]].concat();
    check("the environment", connect("user=scram", &password), "scram cxsink");
    fixture.file(".pgpass", "*:*:*:scram:hunter2\n", 0o600);
    check("the home folder", connect("user=scram", &place), "scram cxsink");
    assert!(Path::new(folder).join(".pgpass").exists());
}
