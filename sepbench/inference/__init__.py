"""Runs a separator on a song: sample rates, channels, blocks, devices, files."""
