//! Every secret of a configuration at once, so that a text of a server can be searched for them.

use crate::config::database::url;
use crate::config::keys::KEYS;
use crate::config::secrets;
use crate::config::sections::Config;
use crate::config::value::{Secret, Value};
use crate::config::value_type::ValueType;

impl Config {
    /// Every secret: the values of keys that are not shown, passwords inside URLs, and what the files of secrets hold now. A file that cannot
    /// be read has none.
    pub(crate) fn all_secrets(&self) -> Vec<Secret> {
        let mut found = Vec::new();
        for key in KEYS {
            match (key.value)(self) {
                Some(Value::Secret(secret)) if matches!(key.value_type, ValueType::Secret) => found.push(secret),
                Some(Value::Pairs(pairs)) => found.extend(pairs.into_iter().map(|(_, value)| value)),
                Some(Value::Files(files)) => {
                    found.extend(files.iter().filter_map(|(_, file)| secrets::read(file).ok()));
                }
                // A certificate and its key have several lines, and are no secret of this kind.
                Some(Value::Path(file)) if key.name.ends_with("_file") && !key.name.starts_with("tls.") => {
                    found.extend(secrets::read(&file).ok());
                }
                _ => {}
            }
        }
        found.extend(self.passwords_in_urls());
        found
    }

    fn passwords_in_urls(&self) -> Vec<Secret> {
        let database = self.destination.url.as_ref().map(|url| url::parameters(url.expose()).unwrap_or_default());
        let database = database.unwrap_or_default().into_iter().filter(|(name, _)| name == "password");
        let proxy = self.proxy.address().ok().flatten();
        let proxy = proxy.and_then(|address| self.proxy.password(&address).ok().flatten());
        database.map(|(_, password)| password.into()).chain(proxy).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each key that hides its value is set to a text of its own here, and all of them must be found.
    #[test]
    fn every_key_that_hides_its_value_is_found() {
        let file = |text: &str| {
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), text).unwrap();
            file.into_temp_path()
        };
        let (mut config, mut files, mut expected) = (Config::default(), Vec::new(), Vec::new());
        for key in KEYS {
            let secret = format!("s3cret of {}", key.name);
            let in_file = file(&secret);
            let path = in_file.to_str().unwrap();
            let text = match key.name {
                "destination.url" => "postgresql://me:s3cret%20of%20destination.url@db/cx".into(),
                "proxy.url" => "http://me:s3cret%20of%20proxy.url@proxy:1".into(),
                // Its password is in the URL here.
                "proxy.password_file" => continue,
                "oauth.params" | "stream.headers" => format!("{{ X-Name = \"{secret}\" }}"),
                "oauth.params_file" | "stream.headers_file" => format!("{{ X-Name = {path:?} }}"),
                "oauth.client_secret" | "oauth.password" => secret.clone(),
                name if name.ends_with("_file") && !name.starts_with("tls.") => path.into(),
                _ => continue,
            };
            config.set(key.name, &text).unwrap();
            files.push(in_file);
            expected.push(secret);
        }
        let found = config.all_secrets();
        let mut found: Vec<&str> = found.iter().map(Secret::expose).collect();
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected);
        let hidden = KEYS.iter().filter(|key| config.get(key.name).is_some_and(|shown| shown.contains("***"))).count();
        assert_eq!(hidden, 6, "a new key that hides its value belongs into this test");
    }
}
