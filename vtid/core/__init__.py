"""Decisions: from inputs to state, from state to operations. Pure."""
