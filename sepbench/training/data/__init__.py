"""Training data: finding songs on disk and preparing them."""
