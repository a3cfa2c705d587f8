"""TOML to a configuration."""
