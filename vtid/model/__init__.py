"""The values that all packages exchange; each module has one subject, and nothing is handed on."""
