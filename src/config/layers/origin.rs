//! Where a configuration comes from, for those who look for it: names, and never a value.

use serde::Serialize;

use crate::config::layers::environment::is_foreign;
use crate::config::layers::variables::Variables;

/// The sources, in the order in which a later one overrides an earlier one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct ConfigOrigin {
    /// The TOML file.
    pub(crate) file: Option<String>,
    /// The file of variables, such as `.env`.
    pub(crate) env_file: Option<String>,
    pub(crate) env_file_variables: Vec<String>,
    pub(crate) environment_variables: Vec<String>,
    /// The keys of `--set` and of the options that set one.
    pub(crate) set_keys: Vec<String>,
    /// The keys whose value is not the default.
    pub(crate) changed_keys: Vec<String>,
}

/// The names of these variables, each once.
pub(super) fn names(variables: &Variables) -> Vec<String> {
    let mut names: Vec<String> =
        variables.iter().map(|variable| variable.name.clone()).filter(|name| !is_foreign_name(name)).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// One of `CXSINK_…` that is another program's.
fn is_foreign_name(name: &str) -> bool {
    name.starts_with("CXSINK_") && is_foreign(name)
}
