//! One open stream: sends what the feed has, shows the faults that the options ask for, and answers the client meanwhile.

use std::io::{self, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use super::frame::{self, CODE_NONE, CODE_NORMAL, CODE_TOKEN_EXPIRED};
use super::http::is_timeout;
use super::options::Cut;
use super::server::Shared;
use crate::simulator::client_messages;
use crate::simulator::client_messages::{Inbox, Mail};
use crate::simulator::cursor::{Batch, Fill};

/// A batch is full at this size. Larger writes are no faster, smaller ones cost a system call for fewer events.
const BATCH_BYTES: usize = 64 * 1024;
/// How often a blocked write looks up: whether the simulator stops, or another connection took over.
const WRITE_STEP: Duration = Duration::from_millis(20);
/// How long an idle connection waits before it looks up; whatever comes from the client wakes it at once.
const IDLE_STEP: Duration = Duration::from_secs(1);
/// With a rate, events are not sent more often than this but several at once: a timer is not finer.
const RATE_STEP: Duration = Duration::from_millis(1);
/// How long a client may take to read up to a close frame, or to the end, before the connection is dropped.
const FAREWELL_MAX: Duration = Duration::from_secs(30);

/// Returns when the connection has ended. The last owner of the socket must drop it then: a reset happens no earlier.
///
/// `rest` is what the client sent right behind its handshake.
pub(super) fn serve(shared: &Shared, socket: &TcpStream, rest: &[u8], token_expiry: Instant) {
    let set_up = || -> io::Result<()> {
        socket.set_read_timeout(None)?;
        socket.set_write_timeout(Some(WRITE_STEP))?;
        socket.set_nodelay(true)
    };
    if set_up().is_err() {
        return;
    }
    let id = shared.feed.open();
    let inbox = Inbox::default();
    thread::scope(|scope| {
        let input = BufReader::new(rest.chain(socket));
        let reader = thread::Builder::new().name("cxsink-sim-in".into());
        let reading = reader.spawn_scoped(scope, || inbox.fill_from(input));
        let ending = match reading {
            Ok(_) => Sender::new(shared, socket, &inbox, id, token_expiry).run(),
            Err(_) => Ending::Over,
        };
        // Ends the reading thread. Before a reset nothing may be sent, not even the end.
        let _ = socket.shutdown(if ending == Ending::Reset { Shutdown::Read } else { Shutdown::Both });
    });
    shared.feed.close(id);
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Over,
    /// The socket must be closed without being shut down.
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
    inbox: &'a Inbox,
    id: u64,
    batch: Batch,
    control: Vec<u8>,
    fault: Option<(u64, Fault)>,
    opened: Instant,
    token_expiry: Instant,
    /// Events sent on this connection.
    sent: u64,
    /// Of those, how many the client has shown to have read.
    confirmed: u64,
    sent_since_ping: u64,
    last_ping: Instant,
}

impl<'a> Sender<'a> {
    fn new(shared: &'a Shared, socket: &'a TcpStream, inbox: &'a Inbox, id: u64, token_expiry: Instant) -> Self {
        let now = Instant::now();
        Self {
            shared,
            socket,
            inbox,
            id,
            batch: Batch::default(),
            control: Vec::new(),
            fault: first_fault(shared, id),
            opened: now,
            token_expiry,
            sent: 0,
            confirmed: 0,
            sent_since_ping: 0,
            last_ping: now,
        }
    }

    fn run(mut self) -> Ending {
        loop {
            if let Some(ending) = self.step() {
                return ending;
            }
        }
    }

    /// Does what is due; `Some` when the connection is over.
    fn step(&mut self) -> Option<Ending> {
        if self.shared.stop.is_set() {
            return Some(Ending::Over);
        }
        if let Some(mail) = self.inbox.take()
            && let Some(ending) = self.answer(&mail)
        {
            return Some(ending);
        }
        if let Some((after, fault)) = self.fault
            && self.sent >= after
        {
            return Some(self.fail(fault));
        }
        let now = Instant::now();
        if self.shared.options.close_when_expired && now >= self.token_expiry {
            return Some(self.close(CODE_TOKEN_EXPIRED, "token expired"));
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
        match self.shared.feed.fill(self.id, events_max, BATCH_BYTES, &mut self.batch) {
            Fill::Events => self.send_batch(),
            Fill::NotNow => {
                self.wait(now, WRITE_STEP);
                None
            }
            Fill::AtEnd if self.shared.options.close_at_end => Some(self.close(CODE_NORMAL, "end of stream")),
            // The pong to this ping shows that the client has read everything.
            Fill::AtEnd if self.sent_since_ping > 0 => self.ping(),
            Fill::AtEnd => {
                self.wait(now, IDLE_STEP);
                None
            }
        }
    }

    fn send_batch(&mut self) -> Option<Ending> {
        let (written, is_alive) = self.write(&self.batch.bytes, true);
        let (mut sent, partial_end) = self.batch.events_in(written);
        // A frame that was begun must be ended, or the client could not read what follows. On a dead connection it goes back.
        let unfinished = partial_end.filter(|_| is_alive);
        if unfinished.is_some() {
            sent += 1;
        }
        self.shared.feed.settle(&self.batch, sent);
        self.sent += sent as u64;
        self.sent_since_ping += sent as u64;
        let is_alive = match unfinished {
            Some(end) => self.write(&self.batch.bytes[written..end], false).1,
            None => is_alive,
        };
        (!is_alive).then_some(Ending::Over)
    }

    /// Writes everything, unless the connection ends or, with `may_yield`, another connection is fed now. Says how much was
    /// written and whether the connection still lives. Blocks as long as the client does not read: that is the back-pressure.
    fn write(&self, bytes: &[u8], may_yield: bool) -> (usize, bool) {
        let mut written = 0;
        while written < bytes.len() {
            match (&mut &*self.socket).write(&bytes[written..]) {
                Ok(0) => return (written, false),
                Ok(count) => written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if is_timeout(&error) && !self.shared.stop.is_set() => {
                    if may_yield && !self.shared.feed.is_fed(self.id) {
                        return (written, true);
                    }
                }
                Err(_) => return (written, false),
            }
        }
        (written, true)
    }

    fn write_control(&mut self, push: impl FnOnce(&mut Vec<u8>)) -> Option<Ending> {
        self.control.clear();
        push(&mut self.control);
        let (_, is_alive) = self.write(&self.control, false);
        (!is_alive).then_some(Ending::Over)
    }

    fn answer(&mut self, mail: &Mail) -> Option<Ending> {
        self.note(mail);
        if let Some(payload) = &mail.ping
            && let Some(ending) = self.write_control(|out| frame::push_pong(out, payload))
        {
            return Some(ending);
        }
        if let Some(code) = mail.close {
            let _ = self.write_control(|out| frame::push_close(out, client_messages::answer_code(code), ""));
            return Some(self.end_and_wait());
        }
        if let Some(code) = mail.violation {
            let _ = self.write_control(|out| frame::push_close(out, code, "protocol error"));
            return Some(self.end_and_wait());
        }
        mail.is_ended.then_some(Ending::Over)
    }

    /// Counts what the client said.
    fn note(&mut self, mail: &Mail) {
        if mail.pings > 0 {
            self.shared.feed.note(|report| report.pings_received += mail.pings);
        }
        // A pong repeats the ping's payload: how many events had been sent before it.
        let confirmed = mail.pong.as_deref().and_then(|payload| std::str::from_utf8(payload).ok()?.parse().ok());
        if let Some(confirmed) = confirmed {
            self.confirm(confirmed);
        }
    }

    fn confirm(&mut self, confirmed: u64) {
        if confirmed > self.confirmed && confirmed <= self.sent {
            let newly = confirmed - self.confirmed;
            self.confirmed = confirmed;
            self.shared.feed.note(|report| report.events_confirmed += newly);
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
        // Counted first: once the client has it, whoever asks for the report must find it there.
        self.shared.feed.note(|report| report.pings_sent += 1);
        self.write_control(|out| frame::push_ping(out, payload.as_bytes()))
    }

    /// How many events may be sent now without missing a fault or a ping, or being too fast.
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

    /// Waits until the client says something or the next thing is due, at most for `longest`.
    fn wait(&self, now: Instant, longest: Duration) {
        let options = &self.shared.options;
        let mut timeout = longest;
        if !options.ping_interval.is_zero() {
            let since_ping = now.saturating_duration_since(self.last_ping);
            timeout = timeout.min(options.ping_interval.saturating_sub(since_ping));
        }
        if options.close_when_expired {
            timeout = timeout.min(self.token_expiry.saturating_duration_since(now));
        }
        self.inbox.wait(timeout);
    }

    fn fail(&mut self, fault: Fault) -> Ending {
        let options = &self.shared.options;
        match fault {
            Fault::Close => self.close(options.close_code, &options.close_reason),
            Fault::Silence => {
                self.shared.feed.note(|report| report.silences += 1);
                self.stay_silent()
            }
            Fault::Cut => {
                self.shared.feed.note(|report| report.cuts += 1);
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
        self.shared.feed.note(|report| report.closes += 1);
        if let Some(ending) = self.write_control(|out| frame::push_close(out, code, reason)) {
            return ending;
        }
        self.wait_for(|sender, mail| {
            // A client answers a close frame with the same code (RFC 6455 section 5.5.1), after it has read what came before.
            if mail.close.is_some_and(|answer| answer == code || answer == CODE_NONE) {
                sender.confirm(sender.sent);
            }
            mail.close.is_some()
        })
    }

    /// Ends our direction and waits for the client's end: closing earlier would reset the connection and lose what the client
    /// has not read yet.
    fn end_and_wait(&mut self) -> Ending {
        let _ = self.socket.shutdown(Shutdown::Write);
        self.wait_for(|_, _| false)
    }

    fn wait_for(&mut self, is_done: impl Fn(&mut Self, &Mail) -> bool) -> Ending {
        let deadline = Instant::now() + FAREWELL_MAX;
        loop {
            if let Some(mail) = self.inbox.take() {
                self.note(&mail);
                if is_done(self, &mail) || mail.is_ended {
                    return Ending::Over;
                }
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || self.shared.stop.is_set() {
                return Ending::Over;
            }
            self.inbox.wait(left);
        }
    }

    /// Keeps the connection until the client gives it up.
    fn stay_silent(&mut self) -> Ending {
        loop {
            if let Some(mail) = self.inbox.take() {
                self.note(&mail);
                if mail.is_ended {
                    return Ending::Over;
                }
            }
            if self.shared.stop.is_set() {
                return Ending::Over;
            }
            self.inbox.wait(IDLE_STEP);
        }
    }
}

/// The fault that the connection `id` will show, and after how many events.
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
