"""The benchmark: runs methods on tracks, scores them, and stores the scores."""
