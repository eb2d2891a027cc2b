//! The fault that a connection plays, and when.

use crate::simulator::shared::Shared;

#[derive(Debug, Clone, Copy)]
pub(super) enum Fault {
    Close,
    Cut,
    Silence,
}

/// The fault that the connection `id` plays, with the number of events before it.
pub(super) fn first_fault(shared: &Shared, id: u64) -> Option<(u64, Fault)> {
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
