"""The packages of the networks, and one that conflicts with them."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import NamedTuple


class Package(NamedTuple):
    """A distribution, its module, and the class of the network in it."""

    distribution: str
    module: str
    network: str

    def version(self) -> str | None:
        """Return the distribution with its version, None if it is not installed."""
        found = _version(self.distribution)
        return found and f"{self.distribution} {found}"


PACKAGES = {
    "bs": Package("bs-roformer-infer", "bs_roformer", "BSRoformer"),
    "mel": Package("melband-roformer-infer", "mel_band_roformer", "MelBandRoformer"),
}

_RIVAL = "bs-roformer"
"""Installs the same module as ``bs-roformer-infer``, with a network of other keys."""


def conflict(kind: str) -> str | None:
    """Return why the package of a network cannot be used, or None."""
    package = PACKAGES[kind]
    if package.module != "bs_roformer" or _version(_RIVAL) is None:
        return None
    both = f"{_RIVAL} and {package.distribution} overwrite each other"
    alone = f"{_RIVAL} is installed, which cannot load such checkpoints"
    reason = both if _version(package.distribution) else alone
    return (
        f"{reason}; 'pip uninstall {_RIVAL} {package.distribution}', "
        f"then 'pip install {package.distribution}'"
    )


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None
