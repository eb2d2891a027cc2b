//! Secrets in files: read again at each use, so that they can be changed while the sink runs. The key of a redaction is not: another one
//! gives other values.

use std::path::{Path, PathBuf};

use crate::config::Secret;
use crate::config::database::url;
#[cfg(feature = "cli")]
use crate::config::sections::HttpConfig;
use crate::config::sections::{DestinationConfig, OauthConfig, RedactRule, StreamConfig};
use crate::error::{Error, Result};
use crate::files::open;

/// Far above any secret.
const FILE_BYTES_MAX: u64 = 64 << 10;

impl OauthConfig {
    /// The client's secret: the content of `client_secret_file`, which is read again, or `client_secret`.
    ///
    /// # Errors
    /// `Config`: no secret is set, both are set, or the file cannot be used.
    pub fn client_secret(&self) -> Result<Secret> {
        match (&self.client_secret, &self.client_secret_file) {
            (Some(_), Some(_)) => Err(Error::config("oauth.client_secret and oauth.client_secret_file are both set")
                .with_hint("set one of them; the variable CXONE_CLIENT_SECRET sets oauth.client_secret")),
            (Some(secret), None) => Ok(secret.clone()),
            (None, Some(file)) => read(file).map_err(|e| e.while_doing("oauth.client_secret_file")),
            (None, None) => Err(Error::config("oauth.client_secret is missing")
                .with_hint("set CXONE_CLIENT_SECRET, oauth.client_secret or oauth.client_secret_file")),
        }
    }

    /// The password: the content of `password_file`, which is read again, or `password`.
    ///
    /// # Errors
    /// `Config`: none is set, both are set, or the file cannot be used.
    pub fn password(&self) -> Result<Secret> {
        match (&self.password, &self.password_file) {
            (Some(_), Some(_)) => {
                Err(Error::config("oauth.password and oauth.password_file are both set").with_hint("set one of them"))
            }
            (Some(password), None) => Ok(password.clone()),
            (None, Some(file)) => read(file).map_err(|e| e.while_doing("oauth.password_file")),
            (None, None) => {
                Err(Error::config("oauth.password is missing").with_hint("set oauth.password or oauth.password_file"))
            }
        }
    }

    /// The members of `params` and `params_file`; the files are read again.
    ///
    /// # Errors
    /// `Config`: a file cannot be used.
    pub(crate) fn all_params(&self) -> Result<Vec<(String, Secret)>> {
        with_files(&self.params, &self.params_file, "oauth.params_file")
    }

    /// The content of `token_file`, which is read again; `None` if it is not set.
    ///
    /// # Errors
    /// `Config`: the file cannot be used.
    pub(crate) fn token(&self) -> Result<Option<Secret>> {
        let token = self.token_file.as_ref().map(|file| read(file));
        token.transpose().map_err(|e| e.while_doing("oauth.token_file"))
    }
}

impl StreamConfig {
    /// The headers of `headers` and `headers_file`; the files are read again.
    ///
    /// # Errors
    /// `Config`: a file cannot be used.
    pub(crate) fn all_headers(&self) -> Result<Vec<(String, Secret)>> {
        with_files(&self.headers, &self.headers_file, "stream.headers_file")
    }
}

fn with_files(
    pairs: &[(String, Secret)],
    files: &[(String, PathBuf)],
    key: &'static str,
) -> Result<Vec<(String, Secret)>> {
    let mut all = pairs.to_vec();
    for (name, file) in files {
        all.push((name.clone(), read(file).map_err(|e| e.while_doing(key))?));
    }
    Ok(all)
}

impl DestinationConfig {
    /// The password from `password_file`, which is read again; `None` if that is not set, so that the one in `url` counts.
    ///
    /// # Errors
    /// `Config`: `url` contains a password as well, or the file cannot be used.
    pub fn password(&self) -> Result<Option<Secret>> {
        let Some(file) = &self.password_file else { return Ok(None) };
        if self.url.as_ref().is_some_and(|url| url::has_password(url.expose())) {
            return Err(Error::config("destination.password_file is set, and destination.url contains a password")
                .with_hint("set one of them; the variable DB_PASSWORD puts a password into destination.url"));
        }
        read(file).map(Some).map_err(|e| e.while_doing("destination.password_file"))
    }
}

#[cfg(feature = "cli")]
impl HttpConfig {
    /// The token in `token_file`, which is read again; `None` if it is not set.
    ///
    /// # Errors
    /// `Config`: the file cannot be used.
    pub(crate) fn token(&self) -> Result<Option<Secret>> {
        let token = self.token_file.as_ref().map(|file| read(file));
        token.transpose().map_err(|e| e.while_doing("http.token_file"))
    }
}

/// As many as the hash has (RFC 2104, section 3).
const KEY_BYTES_MIN: usize = 32;

impl RedactRule {
    /// The key in `key_file`; `None` if the rule needs none.
    ///
    /// # Errors
    /// `Config`: the file cannot be used, another user may have written it, or the key is too short.
    pub(crate) fn key(&self) -> Result<Option<Secret>> {
        let Some(file) = &self.key_file else { return Ok(None) };
        let key = by(file, open::read_trusted_text).map_err(|e| e.while_doing("redact"))?;
        if key.expose().len() < KEY_BYTES_MIN {
            let reason = format!("reading {}: shorter than {KEY_BYTES_MIN} bytes", file.display());
            return Err(Error::config(reason)
                .while_doing("redact")
                .with_hint("make a key with `openssl rand -hex 32`"));
        }
        Ok(Some(key))
    }
}

/// Reads a secret from a file, without the line breaks at its end.
pub(super) fn read(path: &Path) -> Result<Secret> {
    by(path, open::read_text)
}

fn by(path: &Path, read: impl FnOnce(&Path, u64) -> std::io::Result<String>) -> Result<Secret> {
    let bad = |reason: &dyn std::fmt::Display| Error::config(format!("reading {}: {reason}", path.display()));
    let text = read(path, FILE_BYTES_MAX).map_err(|e| bad(&e))?;
    let secret = text.trim_end_matches(['\r', '\n']);
    if secret.is_empty() {
        return Err(bad(&"empty"));
    }
    if secret.contains(char::is_control) {
        return Err(bad(&"more than one line, or a control character"));
    }
    Ok(Secret::from(secret))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(content: &[u8]) -> tempfile::TempPath {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        file.into_temp_path()
    }

    #[test]
    fn a_file_is_read_again_at_each_use() {
        let path = file(b"first\n");
        let oauth = OauthConfig { client_secret_file: Some(path.to_path_buf()), ..OauthConfig::default() };
        assert_eq!(oauth.client_secret().unwrap().expose(), "first");
        std::fs::write(&path, " second \r\n\n").unwrap();
        assert_eq!(oauth.client_secret().unwrap().expose(), " second ");
    }

    #[test]
    fn the_plain_secret_is_used_without_a_file() {
        let oauth = OauthConfig { client_secret: Some("plain".into()), ..OauthConfig::default() };
        assert_eq!(oauth.client_secret().unwrap().expose(), "plain");
    }

    #[test]
    fn errors_name_an_unusable_file() {
        let check = |content: &[u8], reason: &str| {
            let path = file(content);
            let destination =
                DestinationConfig { password_file: Some(path.to_path_buf()), ..DestinationConfig::default() };
            let error = destination.password().unwrap_err();
            assert!(error.message().contains(reason), "{error:?}");
            assert!(error.message().contains(&*path.to_string_lossy()), "{error:?}");
            assert!(!error.message().contains("hunter2"), "{error:?}");
        };
        check(b"", "empty");
        check(b"\n", "empty");
        check(b"hunter2\nhunter2", "more than one line");
        check(b"hunter2\xff", "not UTF-8");
        check(&vec![b'x'; 70_000], "larger");
        let missing =
            DestinationConfig { password_file: Some("/nowhere/hunter".into()), ..DestinationConfig::default() };
        assert!(missing.password().unwrap_err().message().contains("/nowhere/hunter"));
    }

    #[test]
    fn no_secret_or_two_secrets_are_errors() {
        let oauth = OauthConfig::default();
        assert!(oauth.client_secret().unwrap_err().hint().unwrap().contains("CXONE_CLIENT_SECRET"));
        let both = OauthConfig { client_secret: Some("a".into()), client_secret_file: Some("b".into()), ..oauth };
        assert!(both.client_secret().unwrap_err().message().contains("both"));

        let mut destination =
            DestinationConfig { url: Some("postgresql://me@db/cx".into()), ..DestinationConfig::default() };
        assert!(destination.password().unwrap().is_none());
        let path = file(b"pw");
        destination.password_file = Some(path.to_path_buf());
        assert_eq!(destination.password().unwrap().unwrap().expose(), "pw");
        destination.url = Some("postgresql://me:pw@db/cx".into());
        assert!(destination.password().unwrap_err().message().contains("destination.url"));
    }
}
