"""The page that people call with, and serving it."""
