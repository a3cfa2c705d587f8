"""The daemon: the loop, and the wiring of edges and core."""
