//! A local stand-in for CXone.
