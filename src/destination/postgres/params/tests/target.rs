//! The forms of a connection string, and the order of precedence.

use crate::config::Secret;

use super::*;
use crate::config::database::libpq::LibpqVariable;
use crate::destination::postgres::params::hosts::Address;
use crate::destination::postgres::params::ssl::{Roots, SslMode};

fn read(text: &str) -> Result<Target> {
    Target::read(text, &Libpq::default())
}

fn target(text: &str) -> Target {
    read(text).unwrap_or_else(|error| panic!("{text}: {error:?}"))
}

/// The environment of these variables.
fn environment(variables: &[(&'static str, &'static str, &str)]) -> Libpq {
    let variable =
        |&(variable, parameter, value): &(_, _, &str)| LibpqVariable { variable, parameter, value: value.into() };
    Libpq { variables: variables.iter().map(variable).collect(), ..Libpq::default() }
}

fn hosts_of(text: &str) -> Vec<String> {
    target(text).hosts.iter().map(ToString::to_string).collect()
}

#[test]
fn hosts_and_ports() {
    let cases: [(&str, &[&str]); 20] = [
        ("postgresql://", &["localhost:5432"]),
        ("postgres://db.example.com/x", &["db.example.com:5432"]),
        ("postgresql://db:5433", &["db:5433"]),
        ("postgresql://[2001:db8::1]:5433/x", &["[2001:db8::1]:5433"]),
        ("postgresql://[::1]", &["[::1]:5432"]),
        ("postgresql://a:1,b:2/x", &["a:1", "b:2"]),
        ("postgresql://a,b:2/x", &["a:5432", "b:2"]),
        ("postgresql:///x?host=/var/run/postgresql", &["/var/run/postgresql/.s.PGSQL.5432"]),
        ("postgresql://u@/x?host=/tmp&port=6000", &["/tmp/.s.PGSQL.6000"]),
        ("postgresql://%2Ftmp:6000/x", &["/tmp/.s.PGSQL.6000"]),
        ("postgresql:///x?host=a,b&port=6000", &["a:6000", "b:6000"]),
        ("postgresql:///x?host=a,b&port=1,2", &["a:1", "b:2"]),
        ("dbname=x", &["localhost:5432"]),
        ("host=db port=5433", &["db:5433"]),
        ("host=2001:db8::1", &["[2001:db8::1]:5432"]),
        ("host=a,/tmp,b port=1,2,3", &["a:1", "/tmp/.s.PGSQL.2", "b:3"]),
        ("host='a, b' port='1, 2'", &["a:1", "b:2"]),
        ("host=a,,b port=,2,", &["a:5432", "localhost:2", "b:5432"]),
        ("hostaddr=10.0.0.1,::1", &["10.0.0.1:5432", "[::1]:5432"]),
        ("host=db,db2 hostaddr=10.0.0.1, port=1", &["db:1", "db2:1"]),
    ];
    for (text, expected) in cases {
        assert_eq!(hosts_of(text), expected, "{text}");
    }
    let named = target("host=db.example.com hostaddr=10.0.0.1");
    let expected = Address::Tcp { name: "db.example.com".into(), ip: Some([10, 0, 0, 1].into()) };
    assert_eq!(
        named.hosts[0].address, expected,
        "certificates are verified by the name, the connection goes to the address"
    );
}

#[test]
fn credentials_in_both_forms() {
    let cases = [
        ("postgresql://u:p@h/d", "u", Some("p"), Some("d")),
        ("postgresql://u%40x:p%3A%2F%40%20%C3%A4@h/d%20b", "u@x", Some("p:/@ ä"), Some("d b")),
        ("postgresql://u:p@q/r@h/d", "u", Some("p@q/r"), Some("d")),
        ("postgresql://h?user=u&password=p%26&dbname=d", "u", Some("p&"), Some("d")),
        ("postgresql://u@h", "u", None, None),
        ("postgresql://u@h/d?user=last&password=wins", "last", Some("wins"), Some("d")),
        (r"user=u password='p \'q' dbname=d", "u", Some("p 'q"), Some("d")),
        ("user=first user=u dbname=d", "u", None, Some("d")),
        ("user=u password='' dbname=d", "u", None, Some("d")),
    ];
    for (text, user, password, database) in cases {
        let target = target(text);
        assert_eq!(target.user, user, "{text}");
        assert_eq!(target.password.as_ref().map(Secret::expose), password, "{text}");
        assert_eq!(target.database.as_deref(), database, "{text}");
    }
    assert!(!target("host=db").user.is_empty(), "the user of this process, as in libpq");
}

#[test]
fn the_defaults() {
    let target = target("postgresql://h/d");
    assert_eq!((target.tls.mode, target.application_name.as_str()), (SslMode::Prefer, "cxsink"));
    assert_eq!((target.session, target.channel_binding), (TargetSessionAttrs::ReadWrite, ChannelBinding::Prefer));
    assert_eq!((target.connect_timeout, target.options, target.password_file), (None, None, None));
    assert_eq!((target.tls.roots, target.tls.identity, target.tls.sni), (Roots::Default, None, true));
}

#[test]
fn every_parameter_in_both_forms() {
    let parameters = [
        ("sslmode", "verify-full"),
        ("sslrootcert", "/ca.pem"),
        ("sslcert", "/me.pem"),
        ("sslkey", "/me.key"),
        ("sslsni", "0"),
        ("ssl_min_protocol_version", "TLSv1.3"),
        ("channel_binding", "require"),
        ("application_name", "a b"),
        ("connect_timeout", "3"),
        ("tcp_user_timeout", "500"),
        ("keepalives", "1"),
        ("keepalives_idle", "7"),
        ("keepalives_count", "0"),
        ("options", "-c x=1"),
        ("target_session_attrs", "any"),
        ("passfile", "/pass"),
        ("client_encoding", "UTF8"),
        ("gssencmode", "disable"),
        ("sslcompression", "0"),
        ("load_balance_hosts", "disable"),
        ("sslnegotiation", "postgres"),
    ];
    let encode = |value: &str| value.replace(' ', "%20").replace('=', "%3D");
    let query: Vec<_> = parameters.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
    let pairs: Vec<_> = parameters.iter().map(|(name, value)| format!("{name}='{value}'")).collect();
    for text in [format!("postgresql://h/d?{}", query.join("&")), format!("host=h dbname=d {}", pairs.join(" "))] {
        let target = target(&text);
        assert_eq!((target.tls.mode, target.tls.sni), (SslMode::VerifyFull, false));
        assert_eq!(target.tls.roots, Roots::File("/ca.pem".into()));
        assert_eq!(target.tls.identity, Some(("/me.pem".into(), "/me.key".into())));
        assert_eq!(target.tls.version_min, Some(crate::config::TlsVersion::Tls13));
        assert_eq!((target.channel_binding, target.session), (ChannelBinding::Require, TargetSessionAttrs::Any));
        assert_eq!((&*target.application_name, target.options.as_deref()), ("a b", Some("-c x=1")));
        assert_eq!(target.connect_timeout, Some(Duration::from_secs(3)));
        assert_eq!(target.keepalive.tcp_user_timeout, Some(Duration::from_millis(500)));
        assert_eq!((target.keepalive.enabled, target.keepalive.count), (Some(true), None));
        assert_eq!(target.keepalive.idle, Some(Duration::from_secs(7)));
        assert_eq!(target.password_file, Some("/pass".into()));
    }
}

#[test]
fn an_authority_strengthens_sslmode() {
    for (word, mode) in SslMode::ALL {
        assert_eq!(target(&format!("sslmode={word}")).tls.mode, mode);
    }
    assert_eq!(target("postgresql://h?ssl=true").tls.mode, SslMode::Require);
    assert_eq!(target("sslmode=require sslrootcert=/ca.pem").tls.mode, SslMode::VerifyCa, "as in libpq");
    let system = target("sslrootcert=system").tls;
    assert_eq!((system.mode, system.roots), (SslMode::VerifyFull, Roots::System));
    assert!(read("sslrootcert=system sslmode=require").unwrap_err().message().contains("too weak"));
}

/// `string > service > environment > default`, for each parameter by itself.
#[test]
fn the_connection_string_wins_over_the_service_and_that_over_the_environment() {
    let folder = tempfile::tempdir().unwrap();
    let services = folder.path().join("services.conf");
    std::fs::write(&services, "[cx]\nhost=of-service\nport=2\nuser=of-service\nsslmode=require\n").unwrap();
    let services = services.to_str().unwrap();
    let mut variables = vec![
        ("PGHOST", "host", "of-environment"),
        ("PGPORT", "port", "3"),
        ("PGUSER", "user", "of-environment"),
        ("PGDATABASE", "dbname", "of-environment"),
        ("PGPASSWORD", "password", "of-environment"),
        ("PGSSLMODE", "sslmode", "disable"),
        ("PGAPPNAME", "application_name", "of-environment"),
        ("PGOPTIONS", "options", "-c a=b"),
        ("PGCONNECT_TIMEOUT", "connect_timeout", "9"),
        ("PGTARGETSESSIONATTRS", "target_session_attrs", "any"),
        ("PGCHANNELBINDING", "channel_binding", "disable"),
        ("PGSERVICEFILE", "servicefile", services),
    ];
    let shown = |text: &str, libpq: &Libpq| {
        let target = Target::read(text, libpq).unwrap();
        (target.to_string(), target.user, target.database.unwrap_or_default(), target.tls.mode)
    };
    let from = |host: &str, user: &str, mode| (host.to_owned(), user.to_owned(), "of-environment".to_owned(), mode);
    let libpq = environment(&variables);
    assert_eq!(shown("postgresql://", &libpq), from("of-environment:3", "of-environment", SslMode::Disable));
    let all = Target::read("postgresql://", &libpq).unwrap();
    assert_eq!((&*all.application_name, all.options.as_deref()), ("of-environment", Some("-c a=b")));
    assert_eq!((all.connect_timeout, all.session), (Some(Duration::from_secs(9)), TargetSessionAttrs::Any));
    assert_eq!(all.password.unwrap().expose(), "of-environment");
    assert_eq!(shown("postgresql://h", &libpq), from("h:3", "of-environment", SslMode::Disable));
    assert_eq!(shown("service=cx", &libpq), from("of-service:2", "of-service", SslMode::Require));
    assert_eq!(shown("service=cx user=u sslmode=prefer", &libpq), from("of-service:2", "u", SslMode::Prefer));
    assert_eq!(shown("postgresql://h:1?service=cx", &libpq), from("h:1", "of-service", SslMode::Require));
    variables.push(("PGSERVICE", "service", "cx"));
    assert_eq!(shown("host=h", &environment(&variables)), from("h:2", "of-service", SslMode::Require));
    let other_file = format!("service=cx servicefile={services}");
    let elsewhere = environment(&[("PGSERVICEFILE", "servicefile", "/nowhere")]);
    assert_eq!(Target::read(&other_file, &elsewhere).unwrap().to_string(), "of-service:2");
}

#[test]
fn files_of_the_home_directory_are_the_defaults() {
    let home = tempfile::tempdir().unwrap();
    let libpq = Libpq { home: Some(home.path().into()), ..Libpq::default() };
    let bare = Target::read("sslmode=require", &libpq).unwrap();
    assert_eq!((bare.tls.mode, bare.tls.roots, bare.tls.identity), (SslMode::Require, Roots::Default, None));
    let folder = home.path().join(".postgresql");
    std::fs::create_dir(&folder).unwrap();
    for name in ["root.crt", "postgresql.crt", "postgresql.key"] {
        std::fs::write(folder.join(name), "").unwrap();
    }
    let found = Target::read("sslmode=require", &libpq).unwrap();
    assert_eq!(found.tls.roots, Roots::File(folder.join("root.crt")));
    assert_eq!(found.tls.mode, SslMode::VerifyCa);
    assert_eq!(found.tls.identity, Some((folder.join("postgresql.crt"), folder.join("postgresql.key"))));
    assert_eq!(found.password_file, Some(home.path().join(".pgpass")));
}

#[test]
fn errors_name_the_parameter_and_show_no_password() {
    let cases = [
        ("postgresql://u:hunter2@h/d?sslcrl=x", "destination.url: sslcrl"),
        ("postgresql://u:hunter2@h/d?require_auth=scram-sha-256", "require_auth"),
        ("password=hunter2 requirepeer=postgres", "requirepeer"),
        ("password=hunter2 krbsrvname=x", "krbsrvname"),
        ("password=hunter2 gssencmode=require", "gssencmode"),
        ("password=hunter2 sslnegotiation=direct", "sslnegotiation"),
        ("password=hunter2 load_balance_hosts=random", "load_balance_hosts"),
        ("password=hunter2 sslpassword=x", "sslpassword"),
        ("password=hunter2 sslcertmode=require", "sslcertmode"),
        ("password=hunter2 ssl_max_protocol_version=TLSv1.2", "ssl_max_protocol_version"),
        ("password=hunter2 replication=database", "replication"),
        ("password=hunter2 oauth_issuer=x", "oauth_issuer"),
        ("password=hunter2 client_encoding=latin1", "client_encoding"),
        ("password=hunter2 ssl_mode=require", "`ssl_mode`"),
        ("postgresql://u:hunter2@h/d?schema=x", "`schema`"),
        ("password=hunter2 sslmode=on", "sslmode"),
        ("password=hunter2 channel_binding=yes", "channel_binding"),
        ("password=hunter2 target_session_attrs=standby", "target_session_attrs"),
        ("password=hunter2 target_session_attrs=prefer-standby", "that take no writes"),
        ("password=hunter2 target_session_attrs=read-only", "that take no writes"),
        ("password=hunter2 ssl_min_protocol_version=SSLv3", "ssl_min_protocol_version"),
        ("password=hunter2 sslcert=/me.pem", "sslcert has no key"),
        ("password=hunter2 sslkey=/me.key", "sslkey has no certificate"),
        ("password=hunter2 host=@socket", "abstract"),
        ("password=hunter2 hostaddr=db.example.com", "hostaddr is not an IP address"),
        ("password=hunter2 host=a,b hostaddr=10.0.0.1", "1 addresses for 2 hosts"),
        ("password=hunter2 port=5432x", "port"),
        ("password=hunter2 host=a port=1,2", "2 ports for 1 hosts"),
        ("password=hunter2 connect_timeout=soon", "connect_timeout"),
        ("password=hunter2 host=h x", "no `=`"),
        ("mysql://u:hunter2@h/d", "not a connection string"),
        ("postgresql://u:hunter2@h:0/d", "port"),
        ("postgresql://u:x:hunter2", "port"),
        ("postgresql://u:hunter2@[::1/d", "[address]:port"),
        ("postgresql://u:hunter2%FF@h/d", "password is not UTF-8"),
        ("postgresql://u:hunter2%00@h/d", "NUL"),
        ("postgresql://u:hunter2@a,b/d?port=1,2,3", "3 ports for 2 hosts"),
        ("postgresql://u:hunter2@h/d?x", "no value"),
        ("password=hunter2 service=missing", "\"missing\""),
    ];
    for (text, expected) in cases {
        let error = read(text).unwrap_err();
        assert!(error.message().contains(expected), "{text}: {error}");
        assert!(error.hint().is_some(), "{text}");
        let everything = format!("{error} {error:?} {}", error.detail_json());
        assert!(!everything.contains("hunter2"), "{everything}");
    }
    let target = target("postgresql://u:hunter2@h/d");
    assert!(!format!("{target:?} {target}").contains("hunter2"));
    let error = read("sslmod=require").unwrap_err();
    assert!(error.hint().unwrap().contains("nearest one is sslmode"), "{error:?}");
}

#[test]
fn errors_name_the_variable_or_the_service() {
    let check = |variable, parameter, value: &str, expected: &str| {
        let error = Target::read("postgresql://h", &environment(&[(variable, parameter, value)])).unwrap_err();
        assert!(error.message().contains(expected), "{error}");
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    };
    check("PGSSLCRL", "sslcrl", "hunter2", "environment: PGSSLCRL is not supported");
    check("PGREQUIREAUTH", "require_auth", "hunter2", "environment: PGREQUIREAUTH");
    check("PGPORT", "port", "hunter2", "environment: PGPORT is not a number");
    check("PGPORT", "port", "1,2", "environment: PGPORT gives 2 ports for 1 hosts");
    check("PGSSLMODE", "sslmode", "hunter2", "environment: PGSSLMODE");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("services");
    std::fs::write(&file, "[cx]\nsslmode=hunter2\n").unwrap();
    let error = read(&format!("service=cx servicefile={}", file.display())).unwrap_err();
    assert!(error.message().starts_with("service \"cx\" in ") && error.message().contains("sslmode"), "{error}");
    assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
}
