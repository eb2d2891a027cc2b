//! An acknowledgement that names nothing: the server would send the events again and again, and nobody would know why.

use cxsink::simulator::{Simulator, SimulatorOptions};

use crate::support::process::{cxsink_of, output};

/// The errors of a sink that reads a short stream with this acknowledgement.
fn errors_with(ack: &str) -> String {
    let mut options = SimulatorOptions::default();
    (options.events, options.close_at_end) = (Some(20), true);
    let simulator = Simulator::start(options).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let mut command = cxsink_of(directory.path(), &simulator);
        command.env("CXSINK_DESTINATION__URL", "sqlite:table.db").env("CXSINK_SPOOL__PATH", "spool.db");
        command.env("CXSINK_STREAM__ACK", ack).env("CXSINK_STREAM__ON_NORMAL_CLOSE", "stop");
        let (code, _, err) = output(command.args(arguments));
        assert_eq!(code, 0, "{err}");
        err
    };
    run(&["init-db"]);
    run(&["run"])
}

#[test]
fn an_acknowledgement_that_points_nowhere_is_reported_once() {
    let errors = errors_with(r#"{"ack":{/eventId}}"#);
    assert_eq!(errors.matches("stream.ack points").count(), 1, "{errors}");
    let errors = errors_with(r#"{"ack":{/interactionId}}"#);
    assert!(!errors.contains("stream.ack"), "{errors}");
}
