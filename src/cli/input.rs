//! The input of `import` and `validate`.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use crate::{Error, ErrorKind, Result};

/// Opens the file, or the standard input for `-`.
pub(super) fn open(file: &Path) -> Result<BufReader<Box<dyn Read + Send>>> {
    let input: Box<dyn Read + Send> =
        if file.as_os_str() == "-" {
            Box::new(std::io::stdin())
        } else {
            let opened = File::open(file);
            Box::new(opened.map_err(|error| {
                Error::new(ErrorKind::InvalidArgument, format!("opening {}: {error}", file.display()))
            })?)
        };
    Ok(BufReader::with_capacity(256 * 1024, input))
}
