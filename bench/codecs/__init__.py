"""Calls in every video codec between different WebRTC stacks, through the focus: see `__main__.py`."""
