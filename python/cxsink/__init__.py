"""Takes interaction events from a NICE CXone Data Actions stream, validates them and upserts them into a database."""

from cxsink._cxsink import __version__

__all__ = ["__version__"]
