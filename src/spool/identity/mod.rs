//! The identity of a spool: its file's inode, whatever name leads to it, and the owner that each opening of it makes.

mod inode;
mod lock;
mod opened;
mod own_file;
pub(super) mod owner;
mod ownership;
mod watch;

pub(super) use inode::Inode;
pub(super) use lock::{Lock, NETWORK_FILE_SYSTEMS, acquire, check_name, check_place, holder, in_use, resolve};
pub(super) use opened::Opened;
pub(super) use own_file::{beside, open_own, with_end};
pub(crate) use ownership::Ownership;
pub(super) use watch::Watch;
