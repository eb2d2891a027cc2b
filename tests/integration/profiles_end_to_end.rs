//! Each profile from the simulator through the sink into PostgreSQL: the table equals the one-by-one execution of the events, whatever
//! happens to connections, conversations, tokens and processes.
#![cfg(unix)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use cxsink::config::OnNormalClose;
use cxsink::simulator::{MessageForm, Profile, Simulator, SimulatorOptions, SimulatorReport};
use cxsink::{Config, Sink, Stats};

use crate::support;
use crate::support::oracle;
use crate::support::postgres::{PATIENCE, TestDatabase};
use crate::support::process::{Running, cxsink};

/// Profiles of other platforms.
fn others() -> impl Iterator<Item = Profile> {
    Profile::ALL.into_iter().filter(|profile| *profile != Profile::DataActions)
}

/// A stream, the sink's configuration for it, and the database.
struct Bench<'a> {
    simulator: Simulator,
    config: Config,
    database: &'a TestDatabase,
    directory: tempfile::TempDir,
    oracle: String,
}

impl<'a> Bench<'a> {
    fn new(database: &'a TestDatabase, profile: Profile, settings: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut options = support::stream_with_repeats(7, 2000, 0);
        options.profile = profile;
        options.close_at_end = true;
        options.token_file = Some(directory.path().join("token"));
        // What is lost with a connection comes again, on each platform in its way.
        options.replay_events = if is_acknowledged(profile) { 0 } else { 1500 };
        for (name, value) in settings {
            options.set(name, value).unwrap();
        }
        Self::of(database, options, directory)
    }

    fn of(database: &'a TestDatabase, options: SimulatorOptions, directory: tempfile::TempDir) -> Self {
        let simulator = Simulator::start(options).unwrap();
        let mut config = support::config(directory.path(), &database.url());
        simulator.apply_to(&mut config);
        config.stream.on_normal_close = OnNormalClose::Stop;
        let suffix: String = std::iter::repeat_with(|| fastrand::char('a'..='z')).take(10).collect();
        let (table, oracle) = (format!("events_{suffix}"), format!("oracle_{suffix}"));
        config.destination.table.clone_from(&table);
        cxsink::init_db(&config).unwrap();
        database.execute(&format!("CREATE TABLE {oracle} (LIKE {table} INCLUDING ALL)"));
        Self { simulator, config, database, directory, oracle }
    }

    /// A sink that reads to the end of the stream.
    fn run(&self) -> Stats {
        let sink = Sink::open(&self.config).unwrap();
        sink.start().unwrap();
        support::run_to_the_end(&sink)
    }

    fn report(&self) -> SimulatorReport {
        self.simulator.report()
    }

    fn profile(&self) -> Profile {
        self.simulator.options().profile
    }

    /// The table has what one-by-one execution of all events makes.
    fn compare(&self) {
        let name = self.profile().name();
        let mut client = self.database.client();
        let events: Vec<Vec<u8>> = self.simulator.events().collect();
        let valid = oracle::execute_mapped(&mut client, &self.config, &self.oracle, events.iter().map(Vec::as_slice));
        assert!(valid > 0 && self.report().finished, "{name}: {}", self.report());
        let differences = oracle::mapped_differences(&mut client, &self.config, &self.oracle);
        assert!(differences.is_empty(), "{name}: {} rows differ, {:?}", differences.len(), differences.first());
    }
}

fn is_acknowledged(profile: Profile) -> bool {
    profile == Profile::EightByEight
}

fn has_heartbeats(profile: Profile) -> bool {
    !matches!(profile, Profile::DataActions | Profile::EightByEight)
}

#[test]
fn each_profile_survives_cuts_closes_and_silence() {
    let database = TestDatabase::new();
    let faults = [
        ("cut_after", "300"),
        ("cut_connections", "3"),
        ("close_after", "500"),
        ("close_connections", "4"),
        ("close_code", "1001"),
    ];
    for profile in Profile::ALL {
        for cut_how in ["reset", "end"] {
            let bench = Bench::new(&database, profile, &[&faults[..], &[("cut_how", cut_how)]].concat());
            let stats = bench.run();
            bench.compare();
            let report = bench.report();
            assert_eq!((report.cuts, report.closes), (3, 2), "{}: {report}", profile.name());
            assert!(report.invalid_total() > 0 && stats.dead_lettered >= report.invalid_total() / 2, "{stats:?}");
        }
    }
}

#[test]
fn each_profile_survives_a_silent_connection() {
    let database = TestDatabase::new();
    for profile in Profile::ALL {
        let mut bench = Bench::new(&database, profile, &[("silence_after", "700")]);
        bench.config.stream.ping_interval = Duration::from_millis(50);
        bench.config.stream.heartbeat_interval = Duration::from_millis(50);
        bench.config.stream.idle_timeout = Duration::from_millis(300);
        bench.run();
        bench.compare();
        assert_eq!(bench.report().silences, 1, "{}", profile.name());
    }
}

#[test]
fn every_message_is_accounted_for() {
    let database = TestDatabase::new();
    for profile in Profile::ALL {
        let bench =
            Bench::new(&database, profile, &[("heartbeat_interval", "10ms"), ("rate", "4000"), ("replay_events", "0")]);
        let stats = bench.run();
        bench.compare();
        let report = bench.report();
        assert_eq!(stats.received, report.events, "{}", profile.name());
        assert_eq!(stats.messages - stats.ignored, report.messages, "{}: {stats:?}, {report}", profile.name());
        let has_control_messages = !matches!(profile, Profile::DataActions);
        assert_eq!(stats.ignored > 0, has_control_messages, "{}: {stats:?}", profile.name());
        if is_acknowledged(profile) {
            assert!(report.acknowledgements_received > 0, "{report}");
        }
    }
}

#[test]
fn a_heartbeat_without_an_answer_ends_the_connection() {
    let database = TestDatabase::new();
    for profile in others().filter(|profile| has_heartbeats(*profile)) {
        // Events come all the time: only the missing answers tell.
        let mut bench =
            Bench::new(&database, profile, &[("heartbeats_unanswered", "15"), ("rate", "1000"), ("events", "3000")]);
        bench.config.stream.ping_interval = Duration::from_millis(100);
        bench.config.stream.heartbeat_interval = Duration::from_millis(50);
        bench.config.stream.idle_timeout = Duration::from_millis(300);
        bench.run();
        bench.compare();
        let report = bench.report();
        assert!(report.connections >= 2 && report.heartbeats_received > 15, "{}: {report}", profile.name());
    }
}

/// The first two openings fail so, and the third one does not. `tokens`: how many that takes.
fn two_openings_fail(failures: &str, tokens: u64, change: fn(&mut Config)) {
    let database = TestDatabase::new();
    for profile in others() {
        let mut bench = Bench::new(&database, profile, &[("open_failures", failures), ("replay_events", "0")]);
        change(&mut bench.config);
        // After a refusal, the sink waits for the delay, and after the second one in a row twice as long.
        let least =
            if failures.starts_with("refused") { 3 * bench.config.stream.open_refused_delay } else { Duration::ZERO };
        let started = Instant::now();
        bench.run();
        assert!(started.elapsed() >= least, "{}", profile.name());
        bench.compare();
        let report = bench.report();
        assert_eq!((report.openings_refused, report.connections), (2, 1), "{}: {report}", profile.name());
        if matches!(profile, Profile::EventHub | Profile::AgentAssist) {
            assert_eq!(report.tokens_issued, tokens, "{}", profile.name());
        }
    }
}

#[test]
fn a_refused_opening_waits_and_keeps_its_token() {
    two_openings_fail("refused*2", 1, |config| config.stream.open_refused_delay = Duration::from_millis(150));
}

#[test]
fn an_opening_without_its_answer_drops_the_token() {
    two_openings_fail("silent,garbage", 3, |config| config.stream.open_timeout = Duration::from_millis(500));
}

#[test]
fn a_token_that_expires_is_replaced() {
    let database = TestDatabase::new();
    for profile in Profile::ALL.into_iter().filter(|profile| *profile != Profile::Genesys) {
        // The server closes in order, so nothing has to come again; with a replay a short life would bring nothing new.
        let settings = [
            ("token_lifetime", "1s"),
            ("close_when_expired", "true"),
            ("rate", "800"),
            ("events", "2000"),
            ("replay_events", "0"),
        ];
        let mut bench = Bench::new(&database, profile, &settings);
        bench.config.stream.renew_before_expiry = Duration::ZERO;
        bench.run();
        bench.compare();
        let report = bench.report();
        assert!(report.closes >= 2 && report.connections >= 2, "{}: {report}", profile.name());
        assert!(report.tokens_issued >= 2, "{}: {report}", profile.name());
    }
}

/// Of the profiles whose tokens the sink gets itself, and so knows the end of.
#[test]
fn the_next_connection_is_open_before_the_token_of_the_last_one_expires() {
    let database = TestDatabase::new();
    for profile in [Profile::DataActions, Profile::EventHub, Profile::AgentAssist] {
        let settings = [
            ("token_lifetime", "2s"),
            ("close_when_expired", "true"),
            ("rate", "500"),
            ("events", "2000"),
            ("replay_events", "0"),
        ];
        let mut bench = Bench::new(&database, profile, &settings);
        bench.config.stream.renew_before_expiry = Duration::from_secs(1);
        let stats = bench.run();
        bench.compare();
        let report = bench.report();
        assert!(report.connections >= 3, "{}: {report}", profile.name());
        assert_eq!((stats.reconnects, stats.received), (0, 2000), "{}: {report}", profile.name());
    }
}

#[test]
fn arrays_and_lines_give_the_same_table() {
    let database = TestDatabase::new();
    for profile in Profile::ALL {
        for form in [MessageForm::Array, MessageForm::Lines] {
            if form == MessageForm::Lines && is_acknowledged(profile) {
                continue;
            }
            let directory = tempfile::tempdir().unwrap();
            let mut options = support::stream_with_repeats(11, 1500, 0);
            options.profile = profile;
            options.close_at_end = true;
            options.token_file = Some(directory.path().join("token"));
            (options.message_form, options.message_events) = (form, 17);
            (options.cut_after, options.cut_how) = (Some(400), cxsink::simulator::Cut::End);
            let bench = Bench::of(&database, options, directory);
            bench.run();
            bench.compare();
            assert!(bench.report().messages < 1000, "{}: {}", profile.name(), bench.report());
        }
    }
}

/// The program as a new user starts it: the file of `init`, and variables.
fn program(bench: &Bench, file: &Path) -> Command {
    let mut command = cxsink(bench.directory.path());
    for (key, value) in bench.simulator.settings() {
        if key.starts_with("oauth.") || key == "stream.url" || key == "stream.id" {
            let variable = format!("CXSINK_{}", key.replacen('.', "__", 1).to_ascii_uppercase());
            command.env(variable, value);
        }
    }
    command
        .env("CXSINK_DESTINATION__URL", bench.database.url())
        .env("CXSINK_DESTINATION__TABLE", &bench.config.destination.table)
        .env("CXSINK_SPOOL__PATH", &bench.config.spool.path)
        .env("CXSINK_BATCH__EVENTS_MAX", "40")
        .env("CXSINK_RETRY__DELAY_MIN", "5ms")
        .env("CXSINK_RETRY__DELAY_MAX", "20ms")
        .args(["run", "--config"])
        .arg(file);
    command
}

fn killed(profile: Profile) {
    const KILLS: u64 = 8;
    let replay = if is_acknowledged(profile) { "0" } else { "3000" };
    // Few connections are cut: one that ends within its replay brings nothing new.
    let database = TestDatabase::new();
    let bench = Bench::new(
        &database,
        profile,
        &[
            ("events", "6000"),
            ("rate", "3000"),
            ("replay_events", replay),
            ("cut_after", "200"),
            ("cut_connections", "3"),
        ],
    );
    let file: PathBuf = bench.directory.path().join("cxsink.toml");
    let written = cxsink(bench.directory.path()).args(["init", "--profile", profile.name()]).output().unwrap();
    assert!(written.status.success(), "{written:?}");
    let mut draws = fastrand::Rng::with_seed(profile as u64);
    for _ in 0..KILLS {
        let mut sink = Running::start(&mut program(&bench, &file));
        let before = bench.report();
        support::wait_until("it reads", || bench.report().events > before.events || bench.report().finished);
        std::thread::sleep(Duration::from_micros(draws.u64(0..200_000)));
        assert_eq!(sink.child.try_wait().unwrap(), None, "it ended by itself: {}", sink.wait().1);
        sink.signal("KILL");
        sink.child.wait().unwrap();
    }
    // The last one lives to the end of the stream.
    let sink = Sink::open(&bench.config).unwrap();
    sink.start().unwrap();
    assert!(bench.simulator.wait_finished(Duration::from_secs(60) + PATIENCE), "{}", bench.report());
    support::run_to_the_end(&sink);
    bench.compare();
    assert!(bench.report().connections > KILLS, "{}", bench.report());
}

macro_rules! killed {
    ($($test:ident: $profile:ident,)*) => {$(
        #[test]
        fn $test() {
            killed(Profile::$profile);
        }
    )*};
}

killed! {
    kills_of_the_sink_lose_nothing_of_the_event_hub: EventHub,
    kills_of_the_sink_lose_nothing_of_agent_assist: AgentAssist,
    kills_of_the_sink_lose_nothing_of_genesys: Genesys,
    kills_of_the_sink_lose_nothing_of_ringcentral: RingCentral,
    kills_of_the_sink_lose_nothing_of_8x8: EightByEight,
}
