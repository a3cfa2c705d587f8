"""Fuzzers: hostile bytes for every parser, from seeds, so that what is found is found again."""
