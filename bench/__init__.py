"""Load, judges and figures: what stands before the focus and measures it. It imports no part of `weir`."""
