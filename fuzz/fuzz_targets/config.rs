//! Text of a configuration file, of .env and of values: a configuration or an error, never a panic.
#![no_main]

use cxsink::Config;
use cxsink::config::{Layers, keys};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = Layers::default().file("cxsink.toml", text).config();
    let _ = Layers::default().dotenv(text).config();
    let mut config = Config::default();
    for key in keys() {
        let _ = config.set(key, text);
    }
    let _ = config.validate();
});
