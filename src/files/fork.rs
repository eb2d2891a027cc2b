//! A forked child can use SQLite.
//!
//! SQLite guards its memory and its list of open files with locks of the whole process. A fork copies them as they are: one that another
//! thread holds at this moment stays locked in the child for ever, and the child's first sink waits for it. So a fork waits until all of
//! them are free, holds them while it happens, and both processes release them (`pthread_atfork(3)`).

#![allow(unsafe_code, reason = "the functions of C that this takes")]

/// Registers the handlers, once in a process.
#[cfg(unix)]
pub(super) fn prepare() {
    use std::sync::Once;
    static REGISTERED: Once = Once::new();
    REGISTERED.call_once(|| {
        // SAFETY: the handlers are functions of this library that live as long as it is loaded; glibc drops them with it.
        // It fails without memory only; then forks are as they were.
        let _ = unsafe { libc::pthread_atfork(Some(locks::enter), Some(locks::leave), Some(locks::leave)) };
    });
}

#[cfg(not(unix))]
pub(super) fn prepare() {}

/// Runs this while no fork happens: the locks that it takes and releases are free in each child. It must not call itself.
pub(crate) fn without_fork<T>(work: impl FnOnce() -> T) -> T {
    #[cfg(unix)]
    let _held = {
        prepare();
        locks::Application::enter()
    };
    work()
}

#[cfg(unix)]
mod locks {
    use std::ffi::c_int;

    use rusqlite::ffi::{self, sqlite3_mutex};

    /// Ours, which SQLite does not use itself.
    const APPLICATION: c_int = ffi::SQLITE_MUTEX_STATIC_APP1;

    /// In the order in which SQLite itself nests them: it allocates memory under each of the others.
    const ORDER: [c_int; 8] = [
        APPLICATION,
        ffi::SQLITE_MUTEX_STATIC_MAIN,
        ffi::SQLITE_MUTEX_STATIC_OPEN,
        ffi::SQLITE_MUTEX_STATIC_VFS1,
        ffi::SQLITE_MUTEX_STATIC_PRNG,
        ffi::SQLITE_MUTEX_STATIC_LRU,
        ffi::SQLITE_MUTEX_STATIC_PMEM,
        ffi::SQLITE_MUTEX_STATIC_MEM,
    ];

    pub(super) unsafe extern "C" fn enter() {
        for id in ORDER {
            // SAFETY: as `of` says.
            unsafe { ffi::sqlite3_mutex_enter(of(id)) };
        }
    }

    pub(super) unsafe extern "C" fn leave() {
        for id in ORDER.into_iter().rev() {
            // SAFETY: as `of` says; `enter` has taken it on this thread, which is the only one that the child has.
            unsafe { ffi::sqlite3_mutex_leave(of(id)) };
        }
    }

    /// Held until it is dropped.
    pub(super) struct Application(());

    impl Application {
        pub(super) fn enter() -> Self {
            // SAFETY: as `of` says.
            unsafe { ffi::sqlite3_mutex_enter(of(APPLICATION)) };
            Self(())
        }
    }

    impl Drop for Application {
        fn drop(&mut self) {
            // SAFETY: as `of` says; `enter` has taken it on this thread, since the guard is dropped in the function that made it.
            unsafe { ffi::sqlite3_mutex_leave(of(APPLICATION)) };
        }
    }

    fn of(id: c_int) -> *mut sqlite3_mutex {
        // SAFETY: a static mutex is there for the life of the process, and SQLite returns the same one for each call; it accepts null.
        unsafe { ffi::sqlite3_mutex_alloc(id) }
    }
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    use crate::files::sqlite::{IN_MEMORY, open_or_create};

    fn use_sqlite() {
        open_or_create(IN_MEMORY.as_ref())
            .and_then(|file| file.execute_batch("CREATE TABLE t (a); INSERT INTO t VALUES (1)"))
            .unwrap();
    }

    #[test]
    fn a_child_can_use_sqlite_whatever_the_threads_of_its_parent_did() {
        let ended = AtomicBool::new(false);
        use_sqlite();
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !ended.load(Ordering::Relaxed) {
                        use_sqlite();
                    }
                });
            }
            let failed = (0..200).map(|_| status_of_child(use_sqlite)).find(|status| *status != 0);
            ended.store(true, Ordering::Relaxed);
            assert_eq!(failed, None, "14 is a child that waited for ever");
        });
    }

    /// Runs this in a forked child, which has ten seconds.
    fn status_of_child(body: fn()) -> i32 {
        // SAFETY: the child calls SQLite alone and leaves without unwinding.
        unsafe {
            let child = libc::fork();
            if child == 0 {
                libc::alarm(10);
                body();
                libc::_exit(0);
            }
            let mut status = 0;
            assert_eq!(libc::waitpid(child, &raw mut status, 0), child);
            status
        }
    }
}
