"""Measure a result, and diagnose what is weak about it."""
