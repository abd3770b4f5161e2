"""Runs separators on songs: sample rates, channels, blocks, devices, files."""
