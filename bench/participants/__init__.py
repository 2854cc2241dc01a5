"""Synthetic participants: Matrix users with pictures and voices who sit in a call and check what they receive."""
