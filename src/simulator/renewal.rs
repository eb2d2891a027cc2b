//! The program that renews a token in a file, for platforms whose tokens cxsink does not get itself.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::shared::Shared;
use crate::error::{Error, ErrorKind, Result};
use crate::files::whole;

/// Interval at which the thread checks whether the token was used.
const STEP: Duration = Duration::from_millis(5);

/// Writes the first token, and starts the thread that renews it, if this profile has tokens without an endpoint.
///
/// # Errors
/// `InvalidArgument`: no file is named, or it cannot be written.
pub(super) fn start(shared: &Arc<Shared>) -> Result<Option<JoinHandle<()>>> {
    if !shared.options.profile.needs_token_file() {
        return Ok(None);
    }
    let failed = |reason: String| {
        Error::new(ErrorKind::InvalidArgument, format!("starting the simulator: token_file: {reason}"))
            .with_hint("name a file that the simulator may write; the sink reads its token there (oauth.token_file)")
    };
    let Some(path) = shared.options.token_file.clone() else {
        return Err(failed(format!("it is missing, and {} needs it", shared.options.profile.name())));
    };
    renew(shared, &path).map_err(|error| failed(format!("writing {}: {error}", path.display())))?;
    let for_thread = Arc::clone(shared);
    let thread = thread::Builder::new().name("cxsink-sim-token".into());
    thread.spawn(move || run(&for_thread, &path)).map(Some).map_err(|error| failed(error.to_string()))
}

/// Renews the token when it was used, and when half of its life is over.
fn run(shared: &Shared, path: &Path) {
    let (mut spent, mut renewed) = (0, Instant::now());
    while !shared.stop.is_set() {
        let spent_now = shared.tokens.spent();
        if spent_now != spent || renewed.elapsed() >= shared.options.token_lifetime / 2 {
            // A full disk, most likely: the next round tries again.
            if renew(shared, path).is_ok() {
                (spent, renewed) = (spent_now, Instant::now());
            }
        }
        shared.stop.wait(STEP);
    }
    let _ = std::fs::remove_file(path);
}

/// Writes a new token into the file.
fn renew(shared: &Shared, path: &Path) -> io::Result<()> {
    let Some(token) = shared.tokens.issue(shared.options.token_lifetime) else {
        return Err(io::Error::other("too many tokens"));
    };
    whole::replace(path, &format!("{token}\n"))?;
    shared.cursor.count(|report| report.tokens_issued += 1);
    Ok(())
}
