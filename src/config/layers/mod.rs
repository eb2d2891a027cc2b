//! The layers of a configuration: the file, `.env`, the environment.

mod dotenv;
mod environment;
mod file;
mod load;
mod references;
mod variables;

pub(super) use self::environment::DEPLOYMENT;
pub use self::load::Layers;
pub(super) use self::variables::Stack;
