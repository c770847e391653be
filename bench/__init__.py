"""Benchmarks: `python -m bench` lists and runs them."""
