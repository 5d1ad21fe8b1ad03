"""Fakes for tests, and the contract tests that any plugin author runs."""
