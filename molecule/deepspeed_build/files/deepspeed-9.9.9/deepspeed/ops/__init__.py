"""Compiled ops."""
