//! The two threads of one connection: one sends, the other one reads.

use std::io;
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::Instant;

use super::sender::{Ending, Sender, WRITE_STEP};
use crate::simulator::client_messages::ClientMessages;
use crate::simulator::profile::{Heard, Talk, dialect};
use crate::simulator::shared::Shared;

/// Serves one stream until the connection has ended. The last owner of the socket must drop it then: a reset happens no earlier.
///
/// `rest`: the bytes that the client sent right behind its handshake.
pub(in crate::simulator) fn serve(shared: &Shared, socket: &TcpStream, rest: Vec<u8>, token_expiry: Option<Instant>) {
    let set_up = || -> io::Result<()> {
        socket.set_read_timeout(None)?;
        socket.set_write_timeout(Some(WRITE_STEP))?;
        socket.set_nodelay(true)
    };
    if set_up().is_err() {
        return;
    }
    let mut sender_id = None;
    let messages = ClientMessages::default();
    thread::scope(|scope| {
        let reader = thread::Builder::new().name("cxsink-sim-in".into());
        let reading = reader.spawn_scoped(scope, || {
            let token_expiry = |token: &str| shared.tokens.expiry(token);
            let mut talk = None;
            messages.read_from(socket, rest, |message| hear(shared, &token_expiry, &mut talk, message));
        });
        let ending = match reading {
            Ok(_) => Sender::new(shared, socket, &messages, token_expiry).run(&mut sender_id),
            Err(_) => Ending::Over,
        };
        // Ends the reading thread. Before a reset nothing may be sent, not even a FIN.
        let _ = socket.shutdown(if ending == Ending::Reset { Shutdown::Read } else { Shutdown::Both });
    });
    if let Some(id) = sender_id {
        shared.cursor.close(id);
    }
}

/// Takes a message of the client, on the reading thread. The conversation begins with the first one.
fn hear<'a>(
    shared: &'a Shared,
    token_expiry: &'a (dyn Fn(&str) -> Option<Instant> + Sync),
    talk: &mut Option<Talk<'a>>,
    message: &[u8],
) -> Heard {
    let talk = talk.get_or_insert_with(|| {
        let dialect = dialect(shared.options.profile);
        let failure = if dialect.open.is_empty() { None } else { shared.next_open_failure() };
        Talk::new(dialect, &shared.options.stream_id, token_expiry, failure)
    });
    match talk.hear(message) {
        Heard::Acknowledged { n } => {
            shared.cursor.acknowledge(n);
            Heard::Nothing
        }
        Heard::Heartbeat { answer } => {
            let mut heartbeats = 0;
            shared.cursor.count(|report| {
                report.heartbeats_received += 1;
                heartbeats = report.heartbeats_received;
            });
            if heartbeats > shared.options.heartbeats_unanswered.into() {
                Heard::Heartbeat { answer }
            } else {
                Heard::Nothing
            }
        }
        heard => {
            if matches!(heard, Heard::OpeningFailed { .. } | Heard::Violation(..)) {
                shared.cursor.count(|report| report.openings_refused += 1);
            }
            heard
        }
    }
}
