//! Measures of the process, as the operating system reports them. Their names are those of every Prometheus client, so an application that
//! has its own metrics has them already: only the command line adds them.

/// The process at one moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Process {
    pub(crate) cpu_seconds: f64,
    pub(crate) resident_bytes: u64,
    pub(crate) virtual_bytes: u64,
    pub(crate) open_files: u64,
    /// `None`: no limit.
    pub(crate) open_files_max: Option<u64>,
    /// Seconds since 1970-01-01 UTC.
    pub(crate) started_at: f64,
}

#[cfg(all(target_os = "linux", feature = "cli"))]
impl Process {
    /// `None` where `/proc` is not there.
    pub(crate) fn now() -> Option<Self> {
        use std::fs;

        #[expect(clippy::cast_precision_loss, reason = "a metric is a floating-point number")]
        let seconds = |ticks: u64| ticks as f64 / rustix::param::clock_ticks_per_second() as f64;
        let stat = fs::read_to_string("/proc/self/stat").ok()?;
        // proc(5): the name of the program, which may hold anything, ends with the last parenthesis; the state behind it is field 3.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        let statm = fs::read_to_string("/proc/self/statm").ok()?;
        let mut pages = statm.split_ascii_whitespace().map_while(|pages| pages.parse::<u64>().ok());
        let page = rustix::param::page_size() as u64;
        let booted = fs::read_to_string("/proc/stat").ok()?;
        let booted: f64 = booted.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
        Some(Self {
            cpu_seconds: seconds(field(14)? + field(15)?),
            virtual_bytes: pages.next()? * page,
            resident_bytes: pages.next()? * page,
            // Without the one that reads the folder.
            open_files: (fs::read_dir("/proc/self/fd").ok()?.count() as u64).saturating_sub(1),
            open_files_max: rustix::process::getrlimit(rustix::process::Resource::Nofile).current,
            started_at: booted + seconds(field(22)?),
        })
    }
}

#[cfg(all(not(target_os = "linux"), feature = "cli"))]
impl Process {
    /// Not known on this system.
    pub(crate) fn now() -> Option<Self> {
        None
    }
}
