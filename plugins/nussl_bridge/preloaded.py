"""Imports nussl where it can be imported; importing this module never fails."""

from contextlib import suppress

from sepbench.errors import SepbenchError

from .import_nussl import nussl

with suppress(SepbenchError):
    nussl()
