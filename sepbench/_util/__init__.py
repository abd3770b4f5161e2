"""Helpers of sepbench itself; nothing outside the package imports them."""
