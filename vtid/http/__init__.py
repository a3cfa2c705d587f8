"""HTTP: metrics, health and the control API."""
