"""The metrics that come with sepbench, found by entry points as any other."""
