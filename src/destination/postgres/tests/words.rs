//! The words of errors: names, and no values, whatever raised them.

use super::*;

/// In every form in which an error can be shown.
fn all_of(error: &Error) -> String {
    format!("{error} {error:?} {} {:?} {:?}", error.detail_json(), error.constraint(), error.column())
}

/// Writes a row with the value `hunter2` to the table `t`.
fn refused(database: &TestDatabase, plan: &Arc<Plan>) -> Error {
    let mut destination = ready(database, plan);
    let error = apply_all(&mut destination, &rows!(plan, ["hunter2", Value::Int(4711)])).unwrap_err();
    let all = all_of(&error);
    assert!(!all.contains("hunter2") && !all.contains("4711"), "{all}");
    assert!(!all.contains(char::is_control), "{all}");
    error
}

#[test]
fn what_a_trigger_raises_is_not_shown_whatever_its_sqlstate() {
    let database = TestDatabase::new();
    let plan = small_table(&database, UpdateMode::Always);
    database.execute(
        "CREATE TABLE raised (code text); INSERT INTO raised VALUES ('');
         CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ DECLARE current text; BEGIN
           SELECT code INTO current FROM raised;
           RAISE 'agent % of %', NEW.k, NEW.n USING ERRCODE = current, DETAIL = NEW.k, HINT = NEW.k, COLUMN = NEW.k,
             CONSTRAINT = NEW.k, DATATYPE = NEW.k, TABLE = NEW.k, SCHEMA = NEW.k;
         END $$;
         CREATE TRIGGER refuse BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION refuse()",
    );
    let codes = [
        "42501", "0A000", "55000", "55P03", "40001", "40P01", "57014", "57P01", "53000", "53300", "08000", "28000",
        "25006", "3D000", "3F000", "26000", "42P01", "42703", "22001", "23505", "21000", "P0001", "P0004", "20000",
        "38000", "45035", "XX000", "44000",
    ];
    for code in codes {
        database.execute(&format!("UPDATE raised SET code = '{code}'"));
        let error = refused(&database, &plan);
        assert_eq!(error.sqlstate(), Some(code), "{error}");
        assert!(error.message().contains(&format!("(SQLSTATE {code})")), "{error}");
    }
}

#[test]
fn what_a_function_lets_the_server_say_is_not_shown() {
    let database = TestDatabase::new();
    let plan = small_table(&database, UpdateMode::Always);
    let with = |body: &str| {
        database.execute(&format!(
            "CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$;
             DROP TRIGGER IF EXISTS refuse ON t;
             CREATE TRIGGER refuse BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION refuse()"
        ));
        refused(&database, &plan)
    };
    // The server's parser quotes a statement that was made of values.
    assert_eq!(with("EXECUTE 'SELECT ' || quote_ident(NEW.k);").sqlstate(), Some("42703"));
    assert_eq!(with("EXECUTE 'SELECT 1 FROM ' || quote_ident(NEW.k);").sqlstate(), Some("42P01"));
    assert_eq!(with("PERFORM NEW.k::int;").sqlstate(), Some("22P02"));
    assert_eq!(with("ASSERT false, NEW.k;").sqlstate(), Some("P0004"));
    assert_eq!(with("PERFORM set_config(NEW.k, NEW.k, true);").sqlstate(), Some("42704"));
    assert_eq!(with("EXECUTE format('SET ROLE %I', NEW.k);").sqlstate(), Some("22023"));
}

#[test]
fn the_names_of_what_refuses_a_row_are_shown() {
    let database = TestDatabase::new();
    let plan = small_table(&database, UpdateMode::Always);
    database.execute("ALTER TABLE t ADD CONSTRAINT \"small\n\u{1b}[31m\" CHECK (n < 10)");
    let error = refused(&database, &plan);
    assert!(error.message().ends_with(r"(SQLSTATE 23514, table t, constraint small\n\u{1b}[31m)"), "{error}");
    assert_eq!(error.constraint(), Some(r"small\n\u{1b}[31m"));

    // Also of a table that a trigger writes to.
    database.execute(
        "ALTER TABLE t DROP CONSTRAINT \"small\n\u{1b}[31m\"; CREATE TABLE audit (agent text, at date NOT NULL);
         CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
           INSERT INTO audit VALUES (NEW.k); RETURN NEW; END $$;
         CREATE TRIGGER note BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION note()",
    );
    let error = refused(&database, &plan);
    assert!(error.message().ends_with("(SQLSTATE 23502, table audit, column at)"), "{error}");
}
