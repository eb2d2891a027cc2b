//! Which sink a log record is of: the `log` façade has one logger for the whole process, and a record says nothing of it.
//!
//! A scope is a mark on the current thread. Every thread of the library is started by [`spawn`] here, which passes the mark on, so
//! the records of a sink carry the mark of the thread that started it, whichever of its threads they come from.

use std::any::Any;
use std::cell::RefCell;
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

/// A mark by which an application's logger tells the records of its sinks apart.
///
/// ```
/// use std::sync::Arc;
/// use cxsink::LogScope;
///
/// let scope = LogScope::new(Arc::new("the stream of the support team"));
/// let entered = scope.enter();
/// // A sink that is opened and started here has threads with this scope, and a logger finds it by:
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
    /// A scope that stands for this value.
    pub fn new<T: Any + Send + Sync>(value: Arc<T>) -> Self {
        Self(value)
    }

    /// The value, if it is of this type.
    pub fn value<T: Any>(&self) -> Option<&T> {
        self.0.downcast_ref()
    }

    /// Marks this thread until the guard is dropped; the mark that it had before comes back then.
    pub fn enter(&self) -> EnteredScope {
        enter(Some(self.clone()))
    }

    /// The scope of this thread.
    pub fn current() -> Option<Self> {
        // A thread that ends has none any more.
        CURRENT.try_with(|current| current.borrow().clone()).unwrap_or_default()
    }
}

impl fmt::Debug for LogScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogScope").finish_non_exhaustive()
    }
}

/// A thread's mark; see [`LogScope::enter`].
#[derive(Debug)]
#[must_use = "the thread is marked only as long as this lives"]
pub struct EnteredScope {
    before: Option<LogScope>,
    /// It must be dropped on the thread that it marks.
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

/// Starts a thread of the library: with a name that a debugger shows, and in the scope of the one that starts it.
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
    fn a_thread_has_the_scope_of_the_one_that_started_it() {
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
