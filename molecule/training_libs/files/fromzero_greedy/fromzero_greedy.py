"""A project that wants another torch."""
