"""Training of all learned separators: data, examples, the loop, and weights."""
