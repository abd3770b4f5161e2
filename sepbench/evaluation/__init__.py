"""The benchmark: methods on tracks, scored, and the store that keeps the scores."""
