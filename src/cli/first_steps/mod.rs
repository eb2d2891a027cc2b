//! The commands of the first steps: a configuration to start from, a stand-in for the platform, a demonstration.

mod demo;
mod init;
mod simulate;

pub(super) use self::demo::demo;
pub(super) use self::init::init;
pub(super) use self::simulate::simulate;
