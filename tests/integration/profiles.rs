//! Profiles: each file is a configuration that fits its stream, `cxsink init` writes it, and a sink reads the simulator of each.

use std::path::Path;

use cxsink::config::Layers;
use cxsink::simulator::{Profile, Simulator, SimulatorOptions, generate};
use cxsink::{Config, Validator};

use crate::support::process::{Running, cxsink, output};

/// The variables that the head of each file names, and the file of a token.
fn variables(token_file: &Path) -> Vec<(&'static str, String)> {
    let token_file = token_file.display().to_string();
    let mut variables = vec![
        ("CXONE_CLIENT_ID", "id".to_owned()),
        ("CXONE_CLIENT_SECRET", "secret".to_owned()),
        ("CXONE_STREAM_ID", "stream".to_owned()),
        ("CXSINK_OAUTH__USERNAME", "key-id".to_owned()),
        ("CXSINK_OAUTH__PASSWORD", "key-secret".to_owned()),
        ("DATABASE_URL", "postgresql://me:pw@db.example/cxone".to_owned()),
    ];
    if !token_file.is_empty() {
        variables.push(("CXSINK_OAUTH__TOKEN_FILE", token_file));
    }
    variables
}

fn options(profile: Profile, settings: &[(&str, &str)]) -> SimulatorOptions {
    let mut options = SimulatorOptions::default();
    options.profile = profile;
    for (name, value) in settings {
        options.set(name, value).unwrap();
    }
    options
}

#[test]
fn each_file_is_a_configuration_that_lacks_secrets_only() {
    let directory = tempfile::tempdir().unwrap();
    let token_file = directory.path().join("token");
    std::fs::write(&token_file, "token").unwrap();
    for profile in Profile::ALL {
        let name = profile.name();
        let layers = Layers::default().file(name, profile.config_text());
        let plain = layers.config().unwrap_or_else(|error| panic!("{error}"));
        let oauth = &plain.oauth;
        assert!(oauth.client_secret.is_none() && oauth.password.is_none() && plain.destination.url.is_none(), "{name}");
        assert!(plain.has_stream() || profile == Profile::DataActions, "{name}");
        assert!(plain.validate().is_err(), "{name}: secrets are missing");

        let token_file = if profile.needs_token_file() { &*token_file } else { Path::new("") };
        let config = layers.environment(variables(token_file)).config().unwrap();
        config.validate().unwrap_or_else(|error| panic!("{name}: {error}"));
        Validator::new(&config).unwrap_or_else(|error| panic!("{name}: {error}"));
        let sql = cxsink::table::init_db_sql(&config).unwrap();
        let table = &config.destination.table;
        assert!(sql.contains(&format!(r#"CREATE TABLE IF NOT EXISTS "{table}""#)), "{name}: {sql}");
    }
}

/// Each setting that a file shows in a comment is one.
#[test]
fn each_setting_in_a_comment_is_valid() {
    for profile in Profile::ALL {
        let mut section = "";
        for line in profile.config_text().lines() {
            if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
                section = name;
            }
            let Some(setting) = line.strip_prefix("# ").filter(|line| line.contains(" = ") && !line.contains("  cx"))
            else {
                continue;
            };
            let text = format!("[{section}]\n{setting}");
            Layers::default().file("", &*text).config().unwrap_or_else(|error| panic!("{}: {error}", profile.name()));
        }
    }
}

#[test]
fn each_schema_accepts_the_events_of_its_platform_and_no_invalid_one() {
    for profile in Profile::ALL {
        let mut config = Layers::default().file(profile.name(), profile.config_text()).config().unwrap();
        config.stream.event_bytes_max = 1 << 20;
        let validator = Validator::new(&config).unwrap();
        let all = |invalid_percent: &str| {
            let options = options(
                profile,
                &[("events", "300"), ("update_percent", "20"), ("invalid_percent", invalid_percent), ("seed", "3")],
            );
            generate(&options)
        };
        for event in all("0") {
            validator
                .validate(&event)
                .unwrap_or_else(|error| panic!("{}: {error}: {}", profile.name(), String::from_utf8_lossy(&event)));
        }
        let invalid = all("100").filter(|event| validator.validate(event).is_err()).count();
        assert_eq!(invalid, 300, "{}", profile.name());
    }
}

#[test]
fn a_simulator_gives_the_settings_of_its_profile() {
    for profile in Profile::ALL {
        let directory = tempfile::tempdir().unwrap();
        let mut options = options(profile, &[("message_form", "lines")]);
        options.token_file = Some(directory.path().join("token"));
        let simulator = Simulator::start(options).unwrap();
        let mut config = Config::default();
        config.set("destination.url", "sqlite:events.db").unwrap();
        let mut by_text = config.clone();
        simulator.apply_to(&mut config);
        config.validate().unwrap_or_else(|error| panic!("{}: {error}", profile.name()));
        assert!(config.event.lines);

        for (key, value) in simulator.settings() {
            by_text.set(key, &value).unwrap_or_else(|error| panic!("{key}: {error}"));
        }
        for key in cxsink::config::keys() {
            assert_eq!(by_text.get(key), config.get(key), "{}: {key}", profile.name());
        }
        by_text.validate().unwrap();
    }
}

#[cfg(unix)]
fn mode(path: &Path) -> u32 {
    std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(path).unwrap().permissions()) & 0o777
}

#[test]
fn init_writes_the_file_of_a_profile_for_this_user() {
    let directory = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| output(cxsink(directory.path()).arg("init").args(arguments));
    let (code, out, err) = run(&[]);
    assert_eq!((code, err.as_str()), (0, ""));
    let path = directory.path().join("cxsink.toml");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), Profile::DataActions.config_text());
    assert!(out.contains("cxsink.toml is written") && out.contains("cxsink init-db\u{20}"), "{out}");
    #[cfg(unix)]
    assert_eq!(mode(&path), 0o600);

    for profile in Profile::ALL {
        let (code, out, err) = run(&["--profile", profile.name(), profile.name()]);
        assert_eq!(code, 0, "{err}");
        let text = std::fs::read_to_string(directory.path().join(profile.name())).unwrap();
        assert_eq!(text, profile.config_text());
        assert!(out.contains(&format!("cxsink run --config {}\n", profile.name())), "{out}");
        assert!(out.contains(&format!("cxsink simulate --profile {}", profile.name())), "{out}");
    }
}

#[test]
fn init_overwrites_nothing_unless_it_is_forced() {
    let directory = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| output(cxsink(directory.path()).arg("init").args(arguments));
    let path = directory.path().join("cxsink.toml");
    std::fs::write(&path, "mine").unwrap();
    let (code, out, err) = run(&[]);
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(err.contains("cxsink.toml: File exists") && err.contains("--force"), "{err}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");

    // A link is replaced, and what it leads to stays.
    #[cfg(unix)]
    {
        let victim = directory.path().join("victim");
        std::fs::rename(&path, &victim).unwrap();
        std::os::unix::fs::symlink(&victim, &path).unwrap();
        assert_eq!(run(&["--force", "--profile", "8x8"]).0, 0);
        assert_eq!(std::fs::read_to_string(&victim).unwrap(), "mine");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), Profile::EightByEight.config_text());
        assert_eq!(mode(&path), 0o600);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 2, "nothing is left beside it");
    }
    let (code, _, err) = run(&["nowhere/cxsink.toml"]);
    assert!(code == 2 && err.contains("create the directory first"), "{err}");
    let (code, _, err) = run(&["--force", "."]);
    assert!(code == 2 && err.contains("name a file in it"), "{err}");
    let (code, _, err) = run(&["--profile", "genesis"]);
    assert!(code == 2 && err.contains("the profiles are data-actions, event-hub"), "{err}");
}

#[test]
fn init_lists_the_profiles() {
    let directory = tempfile::tempdir().unwrap();
    let (code, out, _) = output(cxsink(directory.path()).args(["init", "--list"]));
    assert_eq!(code, 0);
    let names: Vec<&str> = out.lines().map(|line| line.split_whitespace().next().unwrap()).collect();
    assert_eq!(names, Profile::ALL.map(Profile::name));
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

/// A new user: the file of `init`, and the variables that `simulate` prints.
#[test]
fn the_file_of_init_and_the_variables_of_simulate_are_a_whole_configuration() {
    for profile in Profile::ALL {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(output(cxsink(directory.path()).args(["init", "--profile", profile.name()])).0, 0);
        let mut simulator =
            Running::start(cxsink(directory.path()).args(["simulate", "--profile", profile.name(), "--events", "10"]));
        let mut environment = vec![("DATABASE_URL".to_owned(), "sqlite:events.db".to_owned())];
        loop {
            let line = simulator.line();
            let (name, value) = line.split_once('=').unwrap();
            environment.push((name.into(), value.into()));
            if name == last_variable(profile) {
                break;
            }
        }
        let text = std::fs::read_to_string(directory.path().join("cxsink.toml")).unwrap();
        let config = Layers::default().file("cxsink.toml", text).environment(environment).config().unwrap();
        config.validate().unwrap_or_else(|error| panic!("{}: {error}", profile.name()));
        assert!(config.stream.url.starts_with("ws://127.0.0.1:"), "{}", config.stream.url);
        simulator.signal("INT");
        assert_eq!(simulator.wait().0, 0);
        assert!(!directory.path().join("cxsink-simulator-token").exists(), "{}", profile.name());
    }
}

fn last_variable(profile: Profile) -> &'static str {
    match profile {
        Profile::EventHub | Profile::AgentAssist => "CXSINK_OAUTH__PASSWORD",
        Profile::RingCentral | Profile::EightByEight => "CXSINK_OAUTH__TOKEN_FILE",
        _ => "CXONE_STREAM_ID",
    }
}
