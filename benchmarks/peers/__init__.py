"""Tamis beside its peers: environments, runners, pairs, measuring, table and pictures of `bench.py`."""
