"""The Matrix face of the focus: MSC3401 calls and MSC3898 foci."""
