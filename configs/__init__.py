"""Configurations that travel with the package: one YAML a benchmark or method variant."""
