"""BIRD: include file and control socket."""
