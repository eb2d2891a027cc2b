use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::*;
use crate::destination::postgres::test_server::{
    PATIENCE, StallProxy, config, error_response, scripted_server, silent_server,
};

/// How long a call may take that is to end at once: far more than it needs, far less than the deadlines it must not wait for.
const AT_ONCE: Duration = Duration::from_secs(5);

fn destination_at(url: &str, connect_timeout: Duration, abort: &StopSignal) -> PostgresDestination {
    let config = DestinationConfig { connect_timeout, ..config(url, "t") };
    PostgresDestination::new(&config, &TlsConfig::default(), abort.clone()).unwrap()
}

fn assert_transient(error: &Error, says: &str) {
    assert_eq!((error.class(), error.kind()), (Class::Transient, ErrorKind::Connect), "{error:?}");
    assert!(error.message().contains(says), "{error:?} does not say {says}");
}

#[test]
fn a_silent_server_is_given_up_on_at_the_deadline() {
    let (_listener, address) = silent_server();
    for parameters in ["", "?sslmode=disable", "?sslmode=require"] {
        let url = format!("postgresql://u:hunter2@{address}/d{parameters}");
        let begun = Instant::now();
        let error = destination_at(&url, Duration::from_millis(200), &StopSignal::new()).connect().unwrap_err();
        assert!(begun.elapsed() < AT_ONCE);
        assert_transient(&error, "deadline");
        assert!(!format!("{error:?}").contains("hunter2"));
    }
}

/// The connector relies on the `postgres` crate sending nothing before it: then the first bytes are the TLS request, or the
/// startup message where there is to be no TLS.
#[test]
fn the_first_bytes_are_ours() {
    for (parameters, expected) in [("", [0x04, 0xd2, 0x16, 0x2f]), ("?sslmode=disable", [0, 3, 0, 0])] {
        let (listener, address) = silent_server();
        let abort = StopSignal::new();
        let mut destination = destination_at(&format!("postgresql://u@{address}/d{parameters}"), PATIENCE, &abort);
        std::thread::scope(|scope| {
            let connecting = scope.spawn(|| destination.connect());
            let mut first = [0; 8];
            std::io::Read::read_exact(&mut listener.accept().unwrap().0, &mut first).unwrap();
            abort.set();
            assert_eq!(first[4..], expected, "{parameters}");
            assert!(connecting.join().unwrap().is_err());
        });
    }
}

#[test]
fn an_abort_ends_connecting_to_a_silent_server() {
    let (listener, address) = silent_server();
    let abort = StopSignal::new();
    let mut destination = destination_at(&format!("postgresql://u@{address}/d"), PATIENCE, &abort);
    let begun = Instant::now();
    std::thread::scope(|scope| {
        let connecting = scope.spawn(|| destination.connect());
        drop(listener.accept().unwrap().0.set_nodelay(true));
        abort.set();
        assert!(connecting.join().unwrap().is_err());
    });
    assert!(begun.elapsed() < AT_ONCE);
}

/// A listener whose queue is full: on Linux the kernel drops further SYNs.
fn black_hole() -> (std::net::TcpListener, Vec<TcpStream>, SocketAddr) {
    let (listener, address) = silent_server();
    let mut queue = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
        queue.push(stream);
        assert!(queue.len() < 10_000, "the queue does not fill up");
    }
    (listener, queue, address)
}

#[test]
fn an_abort_ends_connecting_when_packets_are_dropped() {
    let (_listener, _queue, address) = black_hole();
    let abort = StopSignal::new();
    let mut destination = destination_at(&format!("postgresql://u@{address}/d"), PATIENCE, &abort);
    let begun = Instant::now();
    std::thread::scope(|scope| {
        let connecting = scope.spawn(|| destination.connect());
        std::thread::yield_now();
        abort.set();
        assert!(connecting.join().unwrap().is_err());
    });
    assert!(begun.elapsed() < AT_ONCE);
    let mut destination =
        destination_at(&format!("postgresql://u@{address}/d"), Duration::from_millis(200), &StopSignal::new());
    assert_eq!(destination.connect().unwrap_err().class(), Class::Transient);
}

#[test]
fn after_an_abort_no_call_begins() {
    let abort = StopSignal::new();
    abort.set();
    let mut destination = destination_at("postgresql://u@127.0.0.1:1/d", PATIENCE, &abort);
    assert_eq!(destination.connect().unwrap_err().message(), Error::stopped().message());
    assert!(destination.checkpoints("spool").is_err());
}

#[test]
fn an_unreachable_server_is_transient() {
    let (listener, address) = silent_server();
    drop(listener);
    let error = destination_at(&format!("postgresql://u:hunter2@{address}/d"), PATIENCE, &StopSignal::new()).connect();
    let error = error.unwrap_err();
    assert_transient(&error, &address.to_string());
    assert!(error.hint().unwrap().contains("running"), "{error:?}");
    assert!(!format!("{error:?}").contains("hunter2"));

    let error =
        destination_at("postgresql://u@no-such-host.invalid/d", PATIENCE, &StopSignal::new()).connect().unwrap_err();
    assert_transient(&error, "no-such-host.invalid");

    #[cfg(unix)]
    {
        let error =
            destination_at("postgresql:///d?host=/nowhere", PATIENCE, &StopSignal::new()).connect().unwrap_err();
        assert_transient(&error, "/nowhere/.s.PGSQL.5432");
        assert!(error.hint().unwrap().contains("Unix socket"), "{error:?}");
    }
}

#[test]
fn a_refused_login_has_its_class() {
    let cases = [
        ("28P01", "password authentication failed for user \"u\"", Class::Mismatch, ErrorKind::Database),
        ("3D000", "database \"d\" does not exist", Class::Mismatch, ErrorKind::Database),
        ("53300", "sorry, too many clients already", Class::Transient, ErrorKind::Database),
        ("57P03", "the database system is starting up", Class::Transient, ErrorKind::Connect),
    ];
    for (sqlstate, message, class, kind) in cases {
        let address = scripted_server(error_response(sqlstate, message));
        let url = format!("postgresql://u:hunter2@{address}/d");
        let error = destination_at(&url, PATIENCE, &StopSignal::new()).connect().unwrap_err();
        assert_eq!((error.class(), error.kind(), error.sqlstate()), (class, kind, Some(sqlstate)), "{error:?}");
        assert!(error.message().contains(message) && error.message().contains(&address.to_string()), "{error}");
        assert!(!format!("{error:?}{}", error.detail_json()).contains("hunter2"));
    }
    let address = scripted_server(Vec::new());
    let error =
        destination_at(&format!("postgresql://u@{address}/d"), PATIENCE, &StopSignal::new()).connect().unwrap_err();
    assert_eq!(error.class(), Class::Mismatch);
    assert!(error.message().contains("password") && error.hint().unwrap().contains("password_file"), "{error:?}");
}

#[test]
fn the_words_of_a_server_at_the_login_are_escaped_and_cut_and_hide_the_password() {
    let words = format!("no: hunter2\u{1b}[31m\r\nERROR forged\u{202e} {}", "x".repeat(100_000));
    let address = scripted_server(error_response("28P01", &words));
    let url = format!("postgresql://u:hunter2@{address}/d");
    let error = destination_at(&url, PATIENCE, &StopSignal::new()).connect().unwrap_err();
    assert!(error.message().contains(r"no: ***\u{1b}[31m\r\nERROR forged\u{202e} xxx"), "{error}");
    assert!(error.message().len() < 1000, "{}", error.message().len());
    assert!(!format!("{error:?}{}", error.detail_json()).contains("hunter2"));
}

#[test]
fn a_server_gets_no_more_room_than_a_login_needs() {
    let check = |answer: Vec<u8>| {
        let address = scripted_server(answer);
        let error = destination_at(&format!("postgresql://u:p@{address}/d"), PATIENCE, &StopSignal::new())
            .connect()
            .unwrap_err();
        assert_transient(&error, "the server sends more than 262144 bytes before the login is complete");
    };
    // The head of a message of 1.5 GB.
    check(vec![b'R', 0x59, 0x68, 0x2f, 0, 0, 0, 0, 0]);
    let parameters = (0..100_000).map(|number| {
        let body = format!("name{number}\0value\0");
        [b"S".as_slice(), &(u32::try_from(body.len()).unwrap() + 4).to_be_bytes(), body.as_bytes()].concat()
    });
    let logged_in = vec![b'R', 0, 0, 0, 8, 0, 0, 0, 0];
    check([logged_in].into_iter().chain(parameters).collect::<Vec<_>>().concat());
}

#[test]
fn sslmode_require_refuses_a_server_without_tls() {
    let address = scripted_server(Vec::new());
    let url = format!("postgresql://u@{address}/d?sslmode=require");
    let error = destination_at(&url, PATIENCE, &StopSignal::new()).connect().unwrap_err();
    assert_eq!((error.class(), error.kind()), (Class::Mismatch, ErrorKind::Connect));
    assert!(error.message().contains("does not offer TLS"), "{error}");
}

#[test]
fn the_second_host_is_used_when_the_first_is_dead() {
    let database = TestDatabase::new();
    let (_listener, silent) = silent_server();
    database.execute("CREATE TABLE t (k text PRIMARY KEY)");
    let (user_and_rest, address) = (database.url_through(silent), database.address());
    let url = user_and_rest.replace(&silent.to_string(), &format!("127.0.0.1:1,{silent},{address}"));
    destination_at(&url, Duration::from_secs(2), &StopSignal::new()).connect().unwrap();
}

#[test]
fn the_password_is_read_from_its_file_at_each_connect() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "secret\n").unwrap();
    let (_listener, address) = silent_server();
    let mut config = config(&format!("postgresql://u@{address}/d"), "t");
    config.connect_timeout = Duration::from_millis(100);
    config.password_file = Some(file.path().into());
    let mut destination = PostgresDestination::new(&config, &TlsConfig::default(), StopSignal::new()).unwrap();
    assert_transient(&destination.connect().unwrap_err(), "deadline");
    file.close().unwrap();
    let error = destination.connect().unwrap_err();
    assert!(error.message().contains("password_file"), "{error}");
}

const WAITING: &str = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'cxsink' AND state = 'active' AND datname = current_database()";

#[test]
fn a_blocked_statement_ends_at_the_deadline_and_on_the_server_too() {
    let database = TestDatabase::new();
    let plan = small_table(&database, UpdateMode::Always);
    let mut destination = ready(&database, &plan);
    destination.server.set_statement_timeout(Duration::from_millis(300));
    let mut blocker = database.client();
    let mut lock = blocker.transaction().unwrap();
    lock.batch_execute("LOCK TABLE t").unwrap();
    let begun = Instant::now();
    let error = apply_all(&mut destination, &rows!(&plan, ["a", Value::Int(1)])).unwrap_err();
    assert!(begun.elapsed() < AT_ONCE);
    assert_transient(&error, "deadline");
    assert!(error.message().starts_with("writing a batch, PostgreSQL at "), "{error}");
    database.wait_for(WAITING, "0");
    lock.commit().unwrap();
    assert_eq!(database.query("SELECT count(*) FROM t"), ["0"], "it was cancelled, so it wrote nothing");

    let rows = rows!(&plan, ["a", Value::Int(1)]);
    assert_eq!(apply_all(&mut destination, &rows).unwrap_err().class(), Class::Transient, "the connection is closed");
    destination.server.set_statement_timeout(PATIENCE);
    destination.connect().unwrap();
    destination.prepare(&plan).unwrap();
    assert_eq!(apply_all(&mut destination, &rows).unwrap(), committed(1, 0));
}

fn abort_ends_a_blocked_statement(database: &TestDatabase, url: &str) {
    let plan = small_table(database, UpdateMode::Always);
    let abort = StopSignal::new();
    let mut destination = destination_at(url, PATIENCE, &abort);
    destination.server.set_statement_timeout(Duration::from_secs(600));
    destination.connect().unwrap();
    destination.prepare(&plan).unwrap();
    let mut blocker = database.client();
    let mut lock = blocker.transaction().unwrap();
    lock.batch_execute("LOCK TABLE t").unwrap();
    let rows = rows!(&plan, ["a", Value::Int(1)]);
    std::thread::scope(|scope| {
        let applying = scope.spawn(|| apply_all(&mut destination, &rows));
        database.wait_for(WAITING, "1");
        let begun = Instant::now();
        abort.set();
        assert!(applying.join().unwrap().is_err());
        assert!(begun.elapsed() < AT_ONCE);
    });
    database.wait_for(WAITING, "0");
}

#[test]
fn an_abort_ends_a_blocked_statement_here_and_on_the_server() {
    let database = TestDatabase::new();
    abort_ends_a_blocked_statement(&database, &database.url());
}

#[test]
#[cfg(unix)]
fn unix_sockets_keep_the_same_promises() {
    let database = TestDatabase::new();
    let directories = database.query("SHOW unix_socket_directories");
    let directory = directories[0].split(',').next().unwrap().trim();
    let directory = if directory.starts_with('/') {
        directory.to_owned()
    } else {
        format!("{}/{directory}", database.query("SHOW data_directory")[0])
    };
    let port = database.address().port();
    let url = database.url();
    let (user, name) = (url.split_once("//").unwrap().1.split_once('@').unwrap().0, url.rsplit_once('/').unwrap().1);
    let url = format!("postgresql://{user}@/{name}?host={directory}&port={port}");
    abort_ends_a_blocked_statement(&database, &url);
    let mut destination = destination_at(&url, PATIENCE, &StopSignal::new());
    destination.connect().unwrap();
    let sql = "SELECT client_addr IS NULL FROM pg_stat_activity WHERE pid = pg_backend_pid()";
    let session = destination.server.session().unwrap();
    let rows = session.run("testing", PATIENCE, |client| client.query_typed(sql, &[])).unwrap();
    assert!(rows[0].get::<_, bool>(0), "the connection is not TCP");
    drop(destination);

    let silent = tempfile::tempdir().unwrap();
    let _listener = std::os::unix::net::UnixListener::bind(silent.path().join(".s.PGSQL.5432")).unwrap();
    let url = format!("postgresql://u@/d?host={}", silent.path().display());
    let error = destination_at(&url, Duration::from_millis(200), &StopSignal::new()).connect().unwrap_err();
    assert_transient(&error, "deadline");
}

#[test]
fn every_call_to_a_silent_server_ends_at_the_deadline() {
    let database = TestDatabase::new();
    let plan = small_table(&database, UpdateMode::Always);
    let proxy = StallProxy::new(database.address());
    let rows = rows!(&plan, ["a", Value::Int(1)]);
    let calls: [&dyn Fn(&mut PostgresDestination) -> Error; 4] = [
        &|destination| destination.prepare(&plan).unwrap_err(),
        &|destination| destination.checkpoints("spool").unwrap_err(),
        &|destination| apply_all(destination, &rows).unwrap_err(),
        &|destination| destination.init_db(None).unwrap_err(),
    ];
    for call in calls {
        proxy.stall(false);
        let mut destination = destination_at(&database.url_through(proxy.address), PATIENCE, &StopSignal::new());
        destination.connect().unwrap();
        destination.prepare(&plan).unwrap();
        destination.server.set_statement_timeout(Duration::from_millis(200));
        proxy.stall(true);
        let begun = Instant::now();
        assert_transient(&call(&mut destination), "deadline");
        drop(destination);
        assert!(begun.elapsed() < AT_ONCE);
    }
    proxy.stall(false);
}

#[test]
fn a_killed_connection_is_transient() {
    let database = TestDatabase::new();
    let plan = small_table(&database, UpdateMode::Always);
    let mut destination = ready(&database, &plan);
    database.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'cxsink' AND datname = current_database()");
    let rows = rows!(&plan, ["a", Value::Int(1)]);
    let error = apply_all(&mut destination, &rows).unwrap_err();
    assert_eq!((error.class(), error.kind()), (Class::Transient, ErrorKind::Connect), "{error:?}");
    destination.connect().unwrap();
    destination.prepare(&plan).unwrap();
    assert_eq!(apply_all(&mut destination, &rows).unwrap(), committed(1, 0));
}

#[test]
fn conflicts_and_server_timeouts_have_their_class() {
    let database = TestDatabase::new();
    let plan = small_table(&database, UpdateMode::Always);
    let mut blocker = database.client();
    let mut lock = blocker.transaction().unwrap();
    let rows = rows!(&plan, ["a", Value::Int(1)]);
    let settings = [("lock_timeout", Class::Conflict, "55P03"), ("statement_timeout", Class::Transient, "57014")];
    let mut destinations = settings.map(|(setting, class, sqlstate)| {
        let url = format!("{}?options=-c%20{setting}%3D500", database.url());
        let mut destination = destination_at(&url, PATIENCE, &StopSignal::new());
        destination.connect().unwrap();
        destination.prepare(&plan).unwrap();
        (destination, class, sqlstate)
    });
    lock.batch_execute("LOCK TABLE t").unwrap();
    for (destination, class, sqlstate) in &mut destinations {
        let error = apply_all(destination, &rows).unwrap_err();
        assert_eq!((error.class(), error.sqlstate()), (*class, Some(*sqlstate)));
    }
    lock.commit().unwrap();
    let conflict = &mut destinations[0].0;
    assert_eq!(apply_all(conflict, &rows).unwrap(), committed(1, 0), "the connection outlives a conflict");
}

#[test]
fn nothing_shows_the_password() {
    let config = DestinationConfig { table: "t".into(), ..config("postgresql://u:hunter2@h/d", "t") };
    let destination = PostgresDestination::new(&config, &TlsConfig::default(), StopSignal::new()).unwrap();
    assert!(!format!("{destination:?} {config:?}").contains("hunter2"));
}
