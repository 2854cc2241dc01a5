"""The acceptance table: what was promised, the command that shows it, and whether it holds today."""
