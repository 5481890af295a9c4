"""The part of apex that is Python."""
