//! cxsink
fn main() {}
