//! Spawning of threads, and the log scope that they inherit.
//!
//! The `log` façade has one logger for the whole process, and a record does not name its sink. A scope marks the current thread.
//! [`spawn`] starts every thread of the library and passes the scope on, so all threads of a sink have the scope of the thread that
//! started it.

use std::any::Any;
use std::cell::RefCell;
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

/// The scope of log records, by which an application's logger distinguishes its sinks.
///
/// ```
/// use std::sync::Arc;
/// use cxsink::LogScope;
///
/// let scope = LogScope::new(Arc::new("the stream of the support team"));
/// let entered = scope.enter();
/// // The threads of a sink that is opened and started here have this scope. A logger finds it by:
/// let found = LogScope::current().and_then(|scope| scope.value::<&str>().copied());
/// assert_eq!(found, Some("the stream of the support team"));
/// drop(entered);
/// assert!(LogScope::current().is_none());
/// ```
#[derive(Clone)]
pub struct LogScope(Arc<dyn Any + Send + Sync>);

thread_local! {
    static CURRENT: RefCell<Option<LogScope>> = const { RefCell::new(None) };
}

impl LogScope {
    /// A scope with this value.
    pub fn new<T: Any + Send + Sync>(value: Arc<T>) -> Self {
        Self(value)
    }

    /// The value, if it has this type.
    pub fn value<T: Any>(&self) -> Option<&T> {
        self.0.downcast_ref()
    }

    /// Sets the scope of this thread until the guard is dropped, which restores the previous one.
    pub fn enter(&self) -> EnteredScope {
        enter(Some(self.clone()))
    }

    /// The scope of this thread, if it has one.
    pub fn current() -> Option<Self> {
        // None while the thread is being destroyed.
        CURRENT.try_with(|current| current.borrow().clone()).unwrap_or_default()
    }
}

impl fmt::Debug for LogScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogScope").finish_non_exhaustive()
    }
}

/// The guard of a thread's scope; see [`LogScope::enter`].
#[derive(Debug)]
#[must_use = "the scope ends when the guard is dropped"]
pub struct EnteredScope {
    before: Option<LogScope>,
    /// The guard must be dropped on its own thread.
    not_send: PhantomData<*const ()>,
}

impl Drop for EnteredScope {
    fn drop(&mut self) {
        replace(self.before.take());
    }
}

fn enter(scope: Option<LogScope>) -> EnteredScope {
    EnteredScope { before: replace(scope), not_send: PhantomData }
}

fn replace(scope: Option<LogScope>) -> Option<LogScope> {
    CURRENT.try_with(|current| current.replace(scope)).unwrap_or_default()
}

/// Starts a thread with a name, which debuggers show, and with the scope of the calling thread.
pub(crate) fn spawn<T: Send + 'static>(
    name: &str,
    body: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    let scope = LogScope::current();
    Builder::new().name(name.into()).spawn(move || {
        let _entered = enter(scope);
        body()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found() -> Option<u32> {
        LogScope::current().and_then(|scope| scope.value::<u32>().copied())
    }

    #[test]
    fn a_thread_inherits_the_scope_of_its_parent() {
        let outer = LogScope::new(Arc::new(1_u32)).enter();
        {
            let _inner = LogScope::new(Arc::new(2_u32)).enter();
            let grandchild = spawn("child", || spawn("grandchild", found).unwrap().join().unwrap()).unwrap();
            assert_eq!((found(), grandchild.join().unwrap()), (Some(2), Some(2)));
        }
        assert_eq!((found(), spawn("child", found).unwrap().join().unwrap()), (Some(1), Some(1)));
        drop(outer);
        assert_eq!((found(), spawn("child", found).unwrap().join().unwrap()), (None, None));
    }
}
