"""Says what it was built with."""
