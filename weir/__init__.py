"""The application: command line, configuration, wiring, demo. It imports every room; no room imports it."""

__version__ = "0.1.0"
