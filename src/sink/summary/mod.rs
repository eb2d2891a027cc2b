//! The summary of dead letters.

mod advice;
mod groups;
mod summarize;
#[cfg(test)]
mod tests;

pub use summarize::summary;
