"""The values that all rooms speak."""
