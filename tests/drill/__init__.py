"""Tries to break sepbench: kills, hostile files, limits; run by ``tests/run --drill`` alone."""
