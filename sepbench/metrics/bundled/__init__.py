"""The included metrics, found by entry points like all others."""
