//! JSON for events that are plain Python objects: the same text as `_events.encode`, which is `json.dumps`, in a fraction of its time.
//!
//! Plain are `dict` with keys of `str`, `list`, `tuple`, `str`, `int`, `float`, `bool` and `None`, but no subclasses. Any other value is
//! encoded in Python, and so is any event with a value that has no JSON: the exception comes from there.

use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};

/// Deeper values go to Python's encoder, which also finds those that contain themselves.
const DEPTH_MAX: usize = 100;

/// Why an event is not encoded here.
enum Left {
    NotPlain,
    Raised(PyErr),
}

impl From<PyErr> for Left {
    fn from(error: PyErr) -> Self {
        Self::Raised(error)
    }
}

type Encoded = Result<(), Left>;

/// Appends the event, which is neither `bytes` nor `str`.
pub(crate) fn encode(event: &Bound<'_, PyAny>, out: &mut Vec<u8>) -> PyResult<()> {
    static ENCODE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let start = out.len();
    if let Ok(event) = event.cast_exact::<PyDict>() {
        let encoded = encode_dict(event, out, DEPTH_MAX);
        if encoded.is_ok() {
            return Ok(());
        }
        out.truncate(start);
        if let Err(Left::Raised(error)) = encoded
            && !error.is_instance_of::<PyException>(event.py())
        {
            // A signal's, such as KeyboardInterrupt, which comes once.
            return Err(error);
        }
    }
    let encode = ENCODE.import(event.py(), "cxsink._events", "encode")?;
    out.extend_from_slice(encode.call1((event,))?.cast::<PyBytes>()?.as_bytes());
    Ok(())
}

/// JSON for one event, for tests.
#[pyfunction]
pub(crate) fn encode_event<'py>(event: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
    let mut out = Vec::new();
    encode(event, &mut out)?;
    Ok(PyBytes::new(event.py(), &out))
}

/// After an error, a part was appended.
fn encode_dict(dict: &Bound<'_, PyDict>, out: &mut Vec<u8>, depth_max: usize) -> Encoded {
    let depth_max = depth_max.checked_sub(1).ok_or(Left::NotPlain)?;
    out.push(b'{');
    // A copy: Python code that encodes a value may change the dict.
    for (index, item) in dict.items().iter().enumerate() {
        let (key, value): (Bound<'_, PyAny>, Bound<'_, PyAny>) = item.extract()?;
        if index > 0 {
            out.push(b',');
        }
        push_text(key.cast_exact::<PyString>().map_err(|_| Left::NotPlain)?, out)?;
        out.push(b':');
        encode_value(&value, out, depth_max)?;
    }
    out.push(b'}');
    Ok(())
}

fn encode_all<'py>(values: impl Iterator<Item = Bound<'py, PyAny>>, out: &mut Vec<u8>, depth_max: usize) -> Encoded {
    let depth_max = depth_max.checked_sub(1).ok_or(Left::NotPlain)?;
    out.push(b'[');
    for (index, value) in values.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        encode_value(&value, out, depth_max)?;
    }
    out.push(b']');
    Ok(())
}

fn encode_value(value: &Bound<'_, PyAny>, out: &mut Vec<u8>, depth_max: usize) -> Encoded {
    if let Ok(text) = value.cast_exact::<PyString>() {
        push_text(text, out)
    } else if value.is_none() {
        out.extend_from_slice(b"null");
        Ok(())
    } else if let Ok(value) = value.cast_exact::<PyBool>() {
        out.extend_from_slice(if value.is_true() { b"true" } else { b"false" });
        Ok(())
    } else if let Ok(number) = value.cast_exact::<PyInt>() {
        match number.extract::<i64>() {
            Ok(number) => out.extend_from_slice(number.to_string().as_bytes()),
            Err(_) => push_repr(value, out)?,
        }
        Ok(())
    } else if let Ok(number) = value.cast_exact::<PyFloat>() {
        if number.value().is_finite() { push_repr(value, out) } else { Err(Left::NotPlain) }
    } else if let Ok(dict) = value.cast_exact::<PyDict>() {
        encode_dict(dict, out, depth_max)
    } else if let Ok(list) = value.cast_exact::<PyList>() {
        encode_all(list.iter(), out, depth_max)
    } else if let Ok(tuple) = value.cast_exact::<PyTuple>() {
        encode_all(tuple.iter(), out, depth_max)
    } else {
        encode_other(value, out)
    }
}

/// A time, a `Decimal`, a subclass: in Python.
fn encode_other(value: &Bound<'_, PyAny>, out: &mut Vec<u8>) -> Encoded {
    static ENCODE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let encode = ENCODE.import(value.py(), "cxsink._events", "encode_value")?;
    out.extend_from_slice(encode.call1((value,))?.cast::<PyBytes>().map_err(PyErr::from)?.as_bytes());
    Ok(())
}

/// The number as Python writes it: all digits of an `int`, the shortest digits that give the same `float`.
fn push_repr(number: &Bound<'_, PyAny>, out: &mut Vec<u8>) -> Encoded {
    out.extend_from_slice(number.repr()?.to_str()?.as_bytes());
    Ok(())
}

fn push_text(text: &Bound<'_, PyString>, out: &mut Vec<u8>) -> Encoded {
    // Fails for a lone surrogate.
    let text = text.to_str()?.as_bytes();
    out.push(b'"');
    let mut rest = text;
    while let Some(place) = rest.iter().position(|&byte| byte < 0x20 || byte == b'"' || byte == b'\\') {
        out.extend_from_slice(&rest[..place]);
        match rest[place] {
            byte @ (b'"' | b'\\') => out.extend([b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0c => out.extend_from_slice(b"\\f"),
            byte => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
        }
        rest = &rest[place + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
    Ok(())
}
