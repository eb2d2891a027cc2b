use super::*;

#[test]
fn a_uri_is_read_as_the_parameters_of_libpq() {
    let cases: [(&str, &[(&str, &str)]); 9] = [
        ("postgresql://", &[]),
        ("postgres://db.example.com/x", &[("dbname", "x"), ("host", "db.example.com")]),
        (
            "postgresql://u%40x:p%3A%2F%40%20%C3%A4@h:1/d%20b",
            &[("user", "u@x"), ("password", "p:/@ ä"), ("dbname", "d b"), ("host", "h"), ("port", "1")],
        ),
        ("postgresql://u:p@q/r@h/d", &[("user", "u"), ("password", "p@q/r"), ("dbname", "d"), ("host", "h")]),
        ("postgresql://[2001:db8::1]:5433", &[("host", "2001:db8::1"), ("port", "5433")]),
        ("postgresql://a:1,[::1],c:3/", &[("host", "a,::1,c"), ("port", "1,,3")]),
        ("postgresql://%2Ftmp:6000/x", &[("dbname", "x"), ("host", "/tmp"), ("port", "6000")]),
        (
            "postgresql:///x?host=/tmp&port=6000&options=-c%20a%3Db",
            &[("dbname", "x"), ("host", "/tmp"), ("port", "6000"), ("options", "-c a=b")],
        ),
        ("postgresql://h?ssl=true&user=u", &[("host", "h"), ("sslmode", "require"), ("user", "u")]),
    ];
    for (uri, expected) in cases {
        let found = parameters(uri).unwrap();
        let is_set = |(_, value): &&(String, String)| !value.replace(',', "").is_empty();
        let found: Vec<_> = found.iter().filter(is_set).map(|(name, value)| (&**name, &**value)).collect();
        assert_eq!(found, expected, "{uri}");
    }
}

#[test]
fn components_are_composed() {
    let check = |host, port, name, user, password, expected: &str| {
        assert_eq!(compose(&Components { host, port, name, user, password }), expected);
    };
    let some = Some;
    check(some("db"), None, some("cx"), some("me"), some("pw"), "postgresql://me:pw@db:5432/cx");
    check(some("db"), some("6432"), some("cx"), some("me"), None, "postgresql://me@db:6432/cx");
    check(None, None, some("cx"), None, None, "postgresql://localhost:5432/cx");
    check(some("db"), None, None, None, None, "postgresql://db:5432/");
    check(
        some("db"),
        None,
        some("c/x"),
        some("m@e"),
        some("p@s:s/w?#%"),
        "postgresql://m%40e:p%40s%3As%2Fw%3F%23%25@db:5432/c%2Fx",
    );
    check(some("::1"), None, some("cx"), some("me"), None, "postgresql://me@[::1]:5432/cx");
    check(some("[::1]"), None, some("cx"), some("me"), None, "postgresql://me@[::1]:5432/cx");
    check(
        some("/run/postgresql"),
        None,
        some("db"),
        some("user"),
        some("pw"),
        "postgresql://user:pw@/db?host=/run/postgresql&port=5432",
    );
    check(some("a,b"), some("1,2"), some("cx"), some("me"), None, "postgresql://me@a:1,b:2/cx");
    check(some("db"), None, some("cx"), None, some("p&w"), "postgresql://db:5432/cx?password=p%26w");
}

#[test]
fn a_password_is_hidden_however_the_uri_is_cut() {
    for uri in [
        "postgresql://me:hunter2@db/cx",
        "postgresql://me:hun@ter2/hunter2?hunter2@db/cx",
        "postgresql://me@db/cx?password=hunter2&sslmode=require",
        "postgresql://db/cx?user=a@b&password=hunter2",
        "postgresql://db/cx?password=hunter2@hunter2",
        "postgresql://db:5432/cx?password=x@hunter2",
        "postgresql://db/cx?p%61ssword=hunter2",
        "postgresql://db/cx?password=x?hunter2",
        "postgresql://db/cx?oauth_client_secret=hunter2",
        "hunter2",
    ] {
        let shown = without_password(uri);
        assert!(!shown.contains("hunter2") && !shown.contains("ter2"), "{uri}: {shown}");
        assert!(shown.contains("***"), "{uri}: {shown}");
    }
}
