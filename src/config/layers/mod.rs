//! The layers of a configuration: the file, `.env`, the environment.

mod dotenv;
mod environment;
mod file;
mod load;
#[cfg(feature = "cli")]
mod origin;
mod references;
mod variables;

pub(super) use self::environment::DEPLOYMENT;
pub use self::load::Layers;
#[cfg(feature = "cli")]
pub(crate) use self::origin::ConfigOrigin;
pub(super) use self::variables::Stack;
