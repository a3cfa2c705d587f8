"""`vtictl`."""
