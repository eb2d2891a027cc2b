//! One thread of another process, stopped: a debugger can do that, where SIGSTOP would stop them all.

use std::fs;

use super::wait_until;

/// The thread moves on when this is dropped, on the thread that made it.
pub struct Frozen {
    thread: i32,
}

impl Frozen {
    /// Stops the thread with this name of this process.
    pub fn new(process: u32, name: &str) -> Self {
        let mut found = None;
        wait_until(name, || {
            found = thread_of(process, name);
            found.is_some()
        });
        let thread = found.unwrap();
        // SAFETY: the requests have no memory; the answers go into variables of their own.
        unsafe {
            let none = std::ptr::null_mut::<libc::c_void>();
            let seized = libc::ptrace(libc::PTRACE_SEIZE, thread, none, none);
            assert_eq!(seized, 0, "{}", std::io::Error::last_os_error());
            assert_eq!(libc::ptrace(libc::PTRACE_INTERRUPT, thread, none, none), 0);
            let mut status = 0;
            assert_eq!(libc::waitpid(thread, &raw mut status, libc::__WALL), thread);
        }
        Self { thread }
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        let none = std::ptr::null_mut::<libc::c_void>();
        // SAFETY: as above.
        unsafe { libc::ptrace(libc::PTRACE_DETACH, self.thread, none, none) };
    }
}

/// The kernel keeps 15 bytes of a name.
fn thread_of(process: u32, name: &str) -> Option<i32> {
    let threads = fs::read_dir(format!("/proc/{process}/task")).ok()?;
    let mut threads = threads.filter_map(|thread| thread.ok()?.file_name().into_string().ok());
    let is_it = |thread: &String| {
        let found = fs::read_to_string(format!("/proc/{process}/task/{thread}/comm")).unwrap_or_default();
        found.trim_end() == &name[..name.len().min(15)]
    };
    threads.find(is_it)?.parse().ok()
}
