"""One file per verb of the `weir` command."""
