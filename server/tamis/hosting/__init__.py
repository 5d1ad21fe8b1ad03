"""Plugins in a process of their own, for Tamis servers elsewhere."""
