"""BIRD: its include file, its control socket, its sessions."""
