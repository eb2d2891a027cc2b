use super::*;

fn shown(name: &str, value: &str) -> Result<String> {
    let mut options = SimulatorOptions::default();
    options.set(name, value)?;
    let text = format!("{options:?}");
    let start = text.find(&format!(" {name}: ")).unwrap() + name.len() + 3;
    Ok(text[start..].to_owned())
}

#[test]
fn each_option_is_set_by_its_name() {
    let cases = [
        ("seed", "7", "7,"),
        ("events", "endless", "None,"),
        ("events", "0", "Some(0),"),
        ("redelivery_percent", "2.5%", "2.5,"),
        ("invalid_kinds", "oversize, not_json", "[Oversize, NotJson],"),
        ("invalid_mix", "random", "Random,"),
        ("token_lifetime", "1500ms", "1.5s,"),
        ("token_lifetime", "2h", "7200s,"),
        ("handshake_failures", "429*2,500", "[429, 429, 500],"),
        ("retry_after", "5", "Seconds(5),"),
        ("retry_after", "date:6", "Date(6),"),
        ("cut_after", "never", "None,"),
        ("cut_how", "end", "End,"),
        ("close_connections", "all", "4294967295,"),
        ("binary", "true", "true,"),
        ("profile", "8x8", "EightByEight,"),
        ("open_failures", "refused*2, silent", "[Refused, Refused, Silent],"),
        ("heartbeats_unanswered", "all", "4294967295,"),
        ("message_form", "lines", "Lines,"),
        ("token_file", "a/token", "Some(\"a/token\"),"),
        ("granted_scope", "", "Some(\"\"),"),
    ];
    for (name, value, expected) in cases {
        let found = shown(name, value).unwrap();
        assert!(found.starts_with(expected), "{name} = {value}: {found}");
    }
}

#[test]
fn every_field_has_a_key_and_every_key_a_field() {
    let text = format!("{:#?}", SimulatorOptions::default());
    // Fields stand at the first level of indentation; a list's items stand deeper.
    let fields: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("    "))
        .filter(|line| !line.starts_with([' ', ']', ')']))
        .filter_map(|line| line.split_once(':'))
        .map(|(name, _)| name)
        .collect();
    let names: Vec<&str> = KEYS.iter().map(|key| key.name).collect();
    assert_eq!(fields, names);
}

#[test]
fn the_listed_defaults_are_the_defaults() {
    let defaults = format!("{:#?}", SimulatorOptions::default());
    for key in KEYS {
        let mut options = SimulatorOptions::default();
        let Some(default) = key.default else {
            assert!(defaults.contains(&format!("{}: None", key.name)), "{}", key.name);
            continue;
        };
        options.set(key.name, default).unwrap();
        assert_eq!(format!("{options:#?}"), defaults, "{} = {default}", key.name);
    }
}

#[test]
fn a_bad_value_is_refused_with_its_form() {
    let cases = [
        ("seed", "-1", "a number"),
        ("update_percent", "101", "from 0 to 100"),
        ("invalid_kinds", "bad_enum,nonsense", "\"nonsense\" is not one of not_json"),
        ("token_lifetime", "5", "5 has no unit"),
        ("token_lifetime", "99999999999999999h", "too long"),
        ("token_failures", "429*2000", "more than 1000"),
        ("retry_after", "soon", "\"date:\" and seconds"),
        ("binary", "yes", "\"true\" or \"false\""),
        ("profile", "genesis", "event-hub"),
        ("open_failures", "late", "refused, garbage and silent"),
    ];
    for (name, value, part) in cases {
        let error = shown(name, value).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert!(error.message().contains(part) && error.message().contains(name), "{error}");
    }
}

#[test]
fn a_secret_stays_out_of_debug() {
    for name in ["client_secret", "password"] {
        assert!(!shown(name, "tr0ub4dor").unwrap().contains("tr0ub4dor"), "{name}");
    }
}
