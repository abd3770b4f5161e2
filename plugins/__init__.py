"""The included separators, written like third-party plugins."""
