//! Compiling the configured schema.

use jsonschema::{Draft, PatternOptions};
use serde_json::Value as Json;

use crate::config::{AdditionalProperties, SchemaConfig};
use crate::error::foreign_text::{MESSAGE_CHARS_MAX, one_line};
use crate::error::{Error, Result};
use crate::files::open;
use crate::rows::schema::formats::with_formats;
use crate::rows::schema::keywords::warnings;
use crate::rows::schema::loosen::loosen;
use crate::rows::schema::patterns::Patterns;
use crate::rows::schema::problems::{not_compiled, violations_of_draft};
use crate::rows::schema::validate::{Schema, pointer_bytes};

/// The schema of CXone interaction events, used unless `schema.file` or `schema.inline` replaces it.
pub(super) const BUILT_IN: &str = include_str!("event.schema.json");

/// Far above any schema.
const FILE_BYTES_MAX: u64 = 16 << 20;

impl Schema {
    /// Compiles the configured schema, and logs its warnings.
    ///
    /// # Errors
    /// [`Config`](crate::ErrorKind::Config), with the place in the file.
    pub(crate) fn load(config: &SchemaConfig, bytes_max: u64) -> Result<Self> {
        let schema = Self::compile(config, bytes_max)?;
        for warning in schema.warnings() {
            log::warn!("{}: {}", name(config), one_line(warning, MESSAGE_CHARS_MAX));
        }
        Ok(schema)
    }

    /// Compiles the configured schema.
    ///
    /// # Errors
    /// As those of [`Schema::load`].
    pub(crate) fn compile(config: &SchemaConfig, bytes_max: u64) -> Result<Self> {
        config.validate()?;
        let name = name(config);
        let mut document = read(config, &name)?;
        if let Some(error) = violations_of_draft(&document, &name) {
            return Err(error);
        }
        let draft = Draft::default().detect(&document);
        let options = with_formats(jsonschema::options_for().offline(), draft);
        let warnings = warnings(&document, draft, &|format| options.is_known_format(draft, format));
        let written = document.clone();
        if config.additional_properties == AdditionalProperties::Keep {
            loosen(&mut document).map_err(|reason| {
                Error::config(format!("applying schema.additional_properties = \"keep\" to {name}: {reason}"))
                    .with_hint(
                        "unset schema.additional_properties, and allow unknown members in the schema file itself",
                    )
            })?;
        }
        let patterns = Patterns::translate(&mut document);
        let validator = patterns
            .with_keyword(options)
            .with_pattern_options(PatternOptions::regex())
            .build(&document)
            .map_err(|error| not_compiled(&error, &written, &patterns, &name))?;
        let text = document.to_string();
        // An error may copy the schema below `not`.
        let copied_bytes = if text.contains("\"not\"") { text.len() } else { 0 };
        let pointer_bytes = pointer_bytes(&document);
        let patterns = patterns.originals;
        Ok(Self { validator, document, written, patterns, warnings, copied_bytes, pointer_bytes, bytes_max })
    }
}

fn name(config: &SchemaConfig) -> String {
    match (&config.file, &config.inline) {
        (Some(path), _) => format!("the JSON Schema {}", path.display()),
        (None, Some(_)) => "the JSON Schema of schema.inline".into(),
        (None, None) => "the built-in schema".into(),
    }
}

fn read(config: &SchemaConfig, name: &str) -> Result<Json> {
    let text = match (&config.file, &config.inline) {
        (None, None) => BUILT_IN.to_owned(),
        (None, Some(text)) => text.clone(),
        (Some(path), _) => open::read_text(path, FILE_BYTES_MAX).map_err(|error| {
            Error::config(format!("reading {name}: {error}"))
                .caused_by(error)
                .with_hint("set schema.file to a readable JSON file, or unset it for the built-in schema")
        })?,
    };
    serde_json::from_str(&text).map_err(|error| {
        Error::config(format!("reading {name}: not JSON: {error}"))
            .with_hint("a schema is one JSON value, without comments and trailing commas")
    })
}
