"""Faults drawn by chance, and what a system looks like that has none."""
