"""Alerts that a real Prometheus raises while the mesh lab's failures run, and pictures of it."""
