"""Scores of separated stems against their references."""
