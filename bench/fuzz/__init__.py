"""Looks for bytes that break a promise: cargo-fuzz on the native engine, and a small guided mutator on the parsers in
Python. `make fuzz`; what it leaves in `tests/corpora/` is replayed by the tests."""
