"""Finds the scheduler of a Dask cluster."""

from __future__ import annotations

from typing import Any

from sepbench.errors import SepbenchError, describe

_CONNECT = 10.0
"""Seconds for a scheduler to answer."""


def connect(address: str) -> Any:
    """Return a client of a scheduler; raise `SepbenchError` if it does not answer."""
    try:
        import distributed
        from distributed.comm.addressing import get_address_host_port
    except ImportError:
        raise SepbenchError("--scheduler needs Dask; pip install 'sepbench[dask]'") from None
    try:
        get_address_host_port(address)  # A client of nonsense cannot even be closed.
        client: Any = distributed
        return client.Client(address, timeout=_CONNECT, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        raise SepbenchError(
            f"scheduler {address}: does not answer ({describe(error)}); "
            "start 'dask scheduler' and give the address that it prints"
        ) from None
