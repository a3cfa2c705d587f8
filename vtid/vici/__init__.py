"""strongSwan over VICI."""
