//! One open stream: sends the next events, plays the faults of the options, and replies to the client between them.

use std::io::{self, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use tungstenite::protocol::frame::Frame;
use tungstenite::protocol::frame::coding::{Data, OpCode};

use super::client_messages::{ClientMessages, Unread};
use super::cursor::{Batch, Fill};
use super::frames::{self, CODE_NONE, CODE_NORMAL, CODE_POLICY, CODE_TOKEN_EXPIRED};
use super::http::is_timeout;
use super::options::Cut;
use super::profile::{Dialect, Heard, Talk, dialect};
use super::shared::Shared;

/// A batch is full at this size. Larger writes are no faster, smaller ones cost a system call for fewer events.
const BATCH_BYTES: usize = 64 * 1024;
/// Interval at which a blocked write checks whether the simulator stops or another connection took over.
const WRITE_STEP: Duration = Duration::from_millis(20);
/// Interval at which an idle connection checks whether something is due; a message from the client wakes it at once.
const IDLE_STEP: Duration = Duration::from_secs(1);
/// Shortest wait with a rate: timers are not finer, so a high rate sends several events at once.
const RATE_STEP: Duration = Duration::from_millis(1);
/// Limit of the opening of the conversation.
const OPEN_MAX: Duration = Duration::from_secs(10);
/// Limit of the close handshake: the client must read all events before it sees the close frame.
const CLOSE_MAX: Duration = Duration::from_secs(30);

/// Serves one stream until the connection has ended. The last owner of the socket must drop it then: a reset happens no earlier.
///
/// `rest`: the bytes that the client sent right behind its handshake.
pub(super) fn serve(shared: &Shared, socket: &TcpStream, rest: Vec<u8>, token_expiry: Option<Instant>) {
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

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Over,
    /// The socket must be closed without a shutdown.
    Reset,
}

#[derive(Debug, Clone, Copy)]
enum Fault {
    Close,
    Cut,
    Silence,
}

struct Sender<'a> {
    shared: &'a Shared,
    socket: &'a TcpStream,
    messages: &'a ClientMessages,
    dialect: &'static Dialect,
    /// The connection's number, once its conversation is open.
    id: Option<u64>,
    batch: Batch,
    control: Vec<u8>,
    fault: Option<(u64, Fault)>,
    /// When the handshake was over; then, when the conversation was open.
    opened: Instant,
    /// `None`: the stream needs no token.
    token_expiry: Option<Instant>,
    /// Events sent on this connection.
    sent: u64,
    /// Of those, events that the client has read, as far as it has shown.
    confirmed: u64,
    sent_since_ping: u64,
    last_ping: Instant,
    last_heartbeat: Instant,
}

impl<'a> Sender<'a> {
    fn new(
        shared: &'a Shared,
        socket: &'a TcpStream,
        messages: &'a ClientMessages,
        token_expiry: Option<Instant>,
    ) -> Self {
        let now = Instant::now();
        Self {
            shared,
            socket,
            messages,
            dialect: dialect(shared.options.profile),
            id: None,
            batch: Batch::default(),
            control: Vec::new(),
            fault: None,
            opened: now,
            token_expiry,
            sent: 0,
            confirmed: 0,
            sent_since_ping: 0,
            last_ping: now,
            last_heartbeat: now,
        }
    }

    /// Serves until the connection is over. `id`: the connection's number, if its conversation was opened.
    fn run(mut self, id: &mut Option<u64>) -> Ending {
        let ending = self.begin().unwrap_or_else(|| {
            loop {
                if let Some(ending) = self.step() {
                    break ending;
                }
            }
        });
        *id = self.id;
        ending
    }

    /// Says what comes first. Where there is no conversation, the stream is open with the handshake.
    fn begin(&mut self) -> Option<Ending> {
        if self.dialect.open.is_empty() {
            self.become_open();
        }
        self.say(self.dialect.ignored_first?)
    }

    fn become_open(&mut self) {
        let id = self.shared.cursor.open();
        self.id = Some(id);
        self.fault = first_fault(self.shared, id);
        self.opened = Instant::now();
    }

    /// Does the next thing that is due; `Some` when the connection is over.
    fn step(&mut self) -> Option<Ending> {
        if self.shared.stop.is_set() {
            return Some(Ending::Over);
        }
        if let Some(unread) = self.messages.take()
            && let Some(ending) = self.reply(&unread)
        {
            return Some(ending);
        }
        if let Some((after, fault)) = self.fault
            && self.sent >= after
        {
            return Some(self.play(fault));
        }
        let now = Instant::now();
        let Some(id) = self.id else {
            return self.wait_for_opening(now);
        };
        if self.shared.options.close_when_expired && self.token_expiry.is_some_and(|expiry| now >= expiry) {
            return Some(self.close(CODE_TOKEN_EXPIRED, "token expired"));
        }
        if let Some(text) = self.own_heartbeat(now)
            && let Some(ending) = self.say(text)
        {
            return Some(ending);
        }
        if self.is_ping_due(now)
            && let Some(ending) = self.ping()
        {
            return Some(ending);
        }
        let events_max = self.events_due(now);
        if events_max == 0 {
            self.wait(now, self.until_next_event(now));
            return None;
        }
        match self.shared.cursor.fill(id, events_max, BATCH_BYTES, &mut self.batch) {
            Fill::Events => self.send_batch(),
            Fill::NotNow => {
                self.wait(now, WRITE_STEP);
                None
            }
            Fill::AtEnd if self.shared.options.close_at_end => Some(self.close(CODE_NORMAL, "end of stream")),
            // The pong to this ping confirms that the client has read everything.
            Fill::AtEnd if self.sent_since_ping > 0 => self.ping(),
            Fill::AtEnd => {
                self.wait(now, IDLE_STEP);
                None
            }
        }
    }

    fn send_batch(&mut self) -> Option<Ending> {
        let (written, is_alive) = self.write(&self.batch.bytes, true);
        let (mut sent, partial_end) = self.batch.messages_in(written);
        // A partly written frame must be completed, or the client cannot read the next one. On a dead connection it goes back.
        let unfinished = partial_end.filter(|_| is_alive);
        if unfinished.is_some() {
            sent += 1;
        }
        self.shared.cursor.record_sent(&self.batch, sent);
        let events = self.batch.events_in(sent) as u64;
        self.sent += events;
        self.sent_since_ping += events;
        let is_alive = match unfinished {
            Some(end) => self.write(&self.batch.bytes[written..end], false).1,
            None => is_alive,
        };
        (!is_alive).then_some(Ending::Over)
    }

    /// Writes everything, unless the connection ends or, with `may_yield`, another connection takes over. Returns the number of bytes
    /// written and whether the connection is alive. Blocks while the client does not read: that is the backpressure.
    fn write(&self, bytes: &[u8], may_yield: bool) -> (usize, bool) {
        let mut written = 0;
        while written < bytes.len() {
            match (&mut &*self.socket).write(&bytes[written..]) {
                Ok(0) => return (written, false),
                Ok(count) => written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if is_timeout(&error) && !self.shared.stop.is_set() => {
                    if may_yield && !self.id.is_some_and(|id| self.shared.cursor.is_active(id)) {
                        return (written, true);
                    }
                }
                Err(_) => return (written, false),
            }
        }
        (written, true)
    }

    fn write_control(&mut self, frame: Frame) -> Option<Ending> {
        self.control.clear();
        frames::push_control(&mut self.control, frame);
        let (_, is_alive) = self.write(&self.control, false);
        (!is_alive).then_some(Ending::Over)
    }

    /// Sends a message of the conversation.
    fn say(&mut self, text: &str) -> Option<Ending> {
        self.control.clear();
        frames::push_message(&mut self.control, OpCode::Data(Data::Text), text.as_bytes());
        let (_, is_alive) = self.write(&self.control, false);
        (!is_alive).then_some(Ending::Over)
    }

    /// Waits for the messages that open the conversation, up to a limit.
    fn wait_for_opening(&mut self, now: Instant) -> Option<Ending> {
        let left = OPEN_MAX.saturating_sub(now.saturating_duration_since(self.opened));
        if left.is_zero() {
            return Some(self.close(CODE_POLICY, "nothing opened the conversation"));
        }
        self.messages.wait(left);
        None
    }

    /// The server's own heartbeat, if it is due.
    fn own_heartbeat(&mut self, now: Instant) -> Option<&'static str> {
        let text = self.dialect.own_heartbeat?;
        let interval = self.shared.options.heartbeat_interval;
        let is_due = !interval.is_zero() && now.saturating_duration_since(self.last_heartbeat) >= interval;
        if is_due {
            self.last_heartbeat = now;
        }
        is_due.then_some(text)
    }

    fn reply(&mut self, unread: &Unread) -> Option<Ending> {
        self.count(unread);
        if let Some(payload) = &unread.ping
            && let Some(ending) = self.write_control(Frame::pong(payload.clone()))
        {
            return Some(ending);
        }
        for answer in &unread.answers {
            if let Some(ending) = self.say(answer) {
                return Some(ending);
            }
        }
        if unread.is_opened {
            self.token_expiry = unread.token_expiry.or(self.token_expiry);
            self.become_open();
        }
        let reply = unread.close.map(|code| (code, "")).or(unread.violation);
        if let Some((code, reason)) = reply {
            let _ = self.write_control(frames::close(code, reason));
            // The end of the client may have come with its close frame, and comes only once.
            return Some(if unread.is_ended { Ending::Over } else { self.end_and_wait() });
        }
        unread.is_ended.then_some(Ending::Over)
    }

    /// Counts the client's pings, and the events that its pong confirms.
    fn count(&mut self, unread: &Unread) {
        if unread.pings > 0 {
            self.shared.cursor.count(|report| report.pings_received += unread.pings);
        }
        // A pong repeats the ping's payload: the number of events sent before it.
        let confirmed = unread.pong.as_deref().and_then(|payload| std::str::from_utf8(payload).ok()?.parse().ok());
        if let Some(confirmed) = confirmed {
            self.confirm(confirmed);
        }
    }

    fn confirm(&mut self, confirmed: u64) {
        if confirmed > self.confirmed && confirmed <= self.sent {
            let newly = confirmed - self.confirmed;
            self.confirmed = confirmed;
            self.shared.cursor.count(|report| report.events_confirmed += newly);
        }
    }

    fn is_ping_due(&self, now: Instant) -> bool {
        let (every, interval) = (self.shared.options.ping_every, self.shared.options.ping_interval);
        let is_due_by_count = every > 0 && self.sent_since_ping >= every;
        is_due_by_count || (!interval.is_zero() && now.saturating_duration_since(self.last_ping) >= interval)
    }

    fn ping(&mut self) -> Option<Ending> {
        self.sent_since_ping = 0;
        self.last_ping = Instant::now();
        let payload = self.sent.to_string();
        // Counted first, so that the report has it by the time the client does.
        self.shared.cursor.count(|report| report.pings_sent += 1);
        self.write_control(Frame::ping(payload))
    }

    /// Number of events that may be sent now, before the next fault or ping is due, at the given rate.
    fn events_due(&self, now: Instant) -> u64 {
        let options = &self.shared.options;
        let mut due = self.fault.map_or(u64::MAX, |(after, _)| after - self.sent);
        if options.ping_every > 0 {
            due = due.min(options.ping_every - self.sent_since_ping);
        }
        if options.frames_per_write > 0 {
            due = due.min(options.frames_per_write.into());
        }
        if options.rate > 0 {
            let nanos = now.saturating_duration_since(self.opened).as_nanos();
            let scheduled = nanos * u128::from(options.rate) / 1_000_000_000 + 1;
            due = due.min(u64::try_from(scheduled).unwrap_or(u64::MAX).saturating_sub(self.sent));
        }
        due
    }

    fn until_next_event(&self, now: Instant) -> Duration {
        let nanos = u128::from(self.sent) * 1_000_000_000 / u128::from(self.shared.options.rate.max(1));
        let due = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        due.saturating_sub(now.saturating_duration_since(self.opened)).max(RATE_STEP)
    }

    /// Waits until the client sends something or the next thing is due, at most for `longest`.
    fn wait(&self, now: Instant, longest: Duration) {
        let options = &self.shared.options;
        let mut timeout = longest;
        if !options.ping_interval.is_zero() {
            let since_ping = now.saturating_duration_since(self.last_ping);
            timeout = timeout.min(options.ping_interval.saturating_sub(since_ping));
        }
        if let Some(expiry) = self.token_expiry.filter(|_| options.close_when_expired) {
            timeout = timeout.min(expiry.saturating_duration_since(now));
        }
        if self.dialect.own_heartbeat.is_some() && !options.heartbeat_interval.is_zero() {
            let since_heartbeat = now.saturating_duration_since(self.last_heartbeat);
            timeout = timeout.min(options.heartbeat_interval.saturating_sub(since_heartbeat));
        }
        self.messages.wait(timeout);
    }

    fn play(&mut self, fault: Fault) -> Ending {
        let options = &self.shared.options;
        match fault {
            Fault::Close => self.close(options.close_code, &options.close_reason),
            Fault::Silence => {
                self.shared.cursor.count(|report| report.silences += 1);
                self.stay_silent()
            }
            Fault::Cut => {
                self.shared.cursor.count(|report| report.cuts += 1);
                match options.cut_how {
                    Cut::End => self.end_and_wait(),
                    Cut::Reset => {
                        // Closing a socket that does not linger resets the connection.
                        let _ = socket2::SockRef::from(self.socket).set_linger(Some(Duration::ZERO));
                        Ending::Reset
                    }
                }
            }
        }
    }

    /// Sends a close frame and waits for the client's.
    fn close(&mut self, code: u16, reason: &str) -> Ending {
        self.shared.cursor.count(|report| report.closes += 1);
        if let Some(message) = self.dialect.ignored_last
            && let Some(ending) = self.say(message)
        {
            return ending;
        }
        if let Some(ending) = self.write_control(frames::close(code, reason)) {
            return ending;
        }
        self.wait_for(|sender, unread| {
            // A client replies to a close frame with the same code (RFC 6455 section 5.5.1), after it has read all events.
            if unread.close.is_some_and(|reply| reply == code || reply == CODE_NONE) {
                sender.confirm(sender.sent);
            }
            unread.close.is_some()
        })
    }

    /// Sends FIN and waits for the client's: closing earlier would reset the connection and lose events that the client has not
    /// read yet.
    fn end_and_wait(&mut self) -> Ending {
        let _ = self.socket.shutdown(Shutdown::Write);
        self.wait_for(|_, _| false)
    }

    fn wait_for(&mut self, is_done: impl Fn(&mut Self, &Unread) -> bool) -> Ending {
        let deadline = Instant::now() + CLOSE_MAX;
        loop {
            if let Some(unread) = self.messages.take() {
                self.count(&unread);
                if is_done(self, &unread) || unread.is_ended {
                    return Ending::Over;
                }
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || self.shared.stop.is_set() {
                return Ending::Over;
            }
            self.messages.wait(left);
        }
    }

    /// Keeps the connection, silent, until the client ends it.
    fn stay_silent(&mut self) -> Ending {
        loop {
            if let Some(unread) = self.messages.take() {
                self.count(&unread);
                if unread.is_ended {
                    return Ending::Over;
                }
            }
            if self.shared.stop.is_set() {
                return Ending::Over;
            }
            self.messages.wait(IDLE_STEP);
        }
    }
}

/// The fault that the connection `id` plays, with the number of events before it.
fn first_fault(shared: &Shared, id: u64) -> Option<(u64, Fault)> {
    let options = &shared.options;
    [
        (options.close_after, options.close_connections, Fault::Close),
        (options.cut_after, options.cut_connections, Fault::Cut),
        (options.silence_after, options.silence_connections, Fault::Silence),
    ]
    .into_iter()
    .filter(|(_, connections, _)| id <= u64::from(*connections))
    .filter_map(|(after, _, fault)| Some((after?, fault)))
    .min_by_key(|(after, _)| *after)
}
