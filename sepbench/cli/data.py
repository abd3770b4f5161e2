"""``sepbench data``: which data sets there are, what each needs, where it was found."""

from __future__ import annotations
