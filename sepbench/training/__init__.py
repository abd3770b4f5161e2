"""Training, shared by all learned separators: material, examples, the loop, weights on disk."""
