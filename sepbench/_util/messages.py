"""Messages between a worker process and its parent: arrays without copies, and no code."""

from __future__ import annotations

import os
import pickle
import sys
from io import BytesIO
from multiprocessing.connection import Connection
from typing import Any

import numpy as np


class Answers(pickle.Unpickler):
    """Reads plain values, arrays and sepbench's own classes, and calls nothing else."""

    _ARRAYS = ("numpy", "_reconstruct", "_frombuffer", "ndarray", "dtype", "scalar")

    def find_class(self, module: str, name: str) -> Any:
        package = module.partition(".")[0]
        if package == "numpy" and name in self._ARRAYS:
            return super().find_class(module, name)
        found = super().find_class(module, name) if package in ("sepbench", "pathlib") else None
        if isinstance(found, type):
            return found
        raise pickle.UnpicklingError(f"{module}.{name} is not a plain value")


def send(connection: Connection, message: Any) -> None:
    """Send a message; its arrays follow without a copy."""
    buffers: list[pickle.PickleBuffer] = []
    head = pickle.dumps(message, protocol=5, buffer_callback=buffers.append)
    views = [buffer.raw() for buffer in buffers]
    connection.send_bytes(pickle.dumps((head, [view.nbytes for view in views])))
    for view in views:
        _send(connection, view)


def receive(connection: Connection, reader: type[pickle.Unpickler] = pickle.Unpickler) -> Any:
    """Return the next message; raise ``EOFError`` if the other process has ended."""
    head, sizes = reader(BytesIO(connection.recv_bytes())).load()
    buffers = [np.empty(size, np.uint8) for size in sizes]
    for buffer in buffers:
        _receive_into(connection, buffer.data)
    return reader(BytesIO(head), buffers=buffers).load()


# `Connection.send_bytes` and `recv_bytes_into` copy every array once more.


def _send(connection: Connection, view: memoryview) -> None:
    if sys.platform == "win32":  # Its connections are not files.
        connection.send_bytes(view)
        return
    while view:
        view = view[os.write(connection.fileno(), view) :]


def _receive_into(connection: Connection, view: memoryview) -> None:
    if sys.platform == "win32":
        connection.recv_bytes_into(view)
        return
    while view:
        count = os.readv(connection.fileno(), [view])
        if not count:
            raise EOFError
        view = view[count:]
