"""Wiring and the loop."""
