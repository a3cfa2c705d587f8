"""The configuration: its keys, its checks, and how it is read from TOML."""
