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

#[cfg(test)]
mod tests {
    use crate::config::Layers;

    #[test]
    fn the_origin_has_names_and_no_values() {
        let layers = Layers::default()
            .file("/etc/cxsink.toml", "[oauth]\nclient_secret = \"hunter2\"")
            .dotenv("DB_PASSWORD=hunter2\nOTHER=hunter2\nCXONE_CLIENT_ID=hunter2")
            .environment([("CXONE_CLIENT_ID", "hunter2"), ("PATH", "hunter2"), ("CXSINK_BATCH__EVENTS_MAX", "7")]);
        let origin = layers.origin().unwrap();
        assert_eq!(origin.file.as_deref(), Some("/etc/cxsink.toml"));
        assert_eq!(origin.env_file_variables, ["CXONE_CLIENT_ID", "DB_PASSWORD"]);
        assert_eq!(origin.environment_variables, ["CXONE_CLIENT_ID", "CXSINK_BATCH__EVENTS_MAX"]);
        let json = crate::report::json::to_json(&origin);
        assert!(!json.contains("hunter2"), "{json}");
    }
}
