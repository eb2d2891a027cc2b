//! What differs between two configurations.

use crate::config::keys::key::Key;
use crate::config::keys::table::KEYS;
use crate::config::sections::Config;
use crate::config::value::Value;

/// The keys whose values differ, in the order of the reference.
#[cfg(feature = "cli")]
pub(crate) fn changed_keys(old: &Config, new: &Config) -> Vec<&'static str> {
    KEYS.iter().filter(|key| !is_same(key, (key.value)(old), (key.value)(new))).map(|key| key.name).collect()
}

/// Whether the values of all keys of these sections are the same.
pub(crate) fn have_equal_sections(one: &Config, other: &Config, sections: &[&str]) -> bool {
    let mut keys = KEYS.iter().filter(|key| sections.contains(&key.section()));
    keys.all(|key| is_same(key, (key.value)(one), (key.value)(other)))
}

fn is_same(key: &Key, old: Option<Value>, new: Option<Value>) -> bool {
    match (old, new) {
        // They are all shown alike.
        (Some(Value::Secret(old)), Some(Value::Secret(new))) => old.expose() == new.expose(),
        (Some(Value::Pairs(old)), Some(Value::Pairs(new))) => {
            let pairs = |pairs: &[(String, crate::config::Secret)]| -> Vec<(String, String)> {
                pairs.iter().map(|(name, secret)| (name.clone(), secret.expose().to_owned())).collect()
            };
            pairs(&old) == pairs(&new)
        }
        (Some(old), Some(new)) => key.value_type.show(&old) == key.value_type.show(&new),
        (old, new) => old.is_none() && new.is_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "cli")]
    #[test]
    fn changed_values_are_named_secrets_too() {
        let mut old = Config::default();
        old.set("oauth.client_secret", "one").unwrap();
        let mut new = old.clone();
        assert_eq!(changed_keys(&old, &new), [""; 0]);
        new.set("oauth.client_secret", "two").unwrap();
        new.set("log.level", "debug").unwrap();
        new.set("schema.file", "other.json").unwrap();
        new.set("oauth.params", r#"{ tenant = "t" }"#).unwrap();
        assert_eq!(changed_keys(&old, &new), ["oauth.client_secret", "oauth.params", "schema.file", "log.level"]);
    }

    #[test]
    fn sections_are_equal_as_long_as_no_value_in_them_differs() {
        let mut one = Config::default();
        one.set("oauth.client_secret", "one").unwrap();
        let mut other = one.clone();
        other.set("stream.id", "another").unwrap();
        assert!(have_equal_sections(&one, &other, &["oauth", "tls"]));
        other.set("oauth.client_secret", "two").unwrap();
        assert!(!have_equal_sections(&one, &other, &["oauth", "tls"]));
        assert!(have_equal_sections(&one, &other, &["tls"]));
    }
}
