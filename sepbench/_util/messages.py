"""Messages between a worker process and its parent: arrays without copies, and no code."""

from __future__ import annotations

import pickle
from io import BytesIO
from multiprocessing.connection import Connection
from typing import Any


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
        connection.send_bytes(view)


def receive(connection: Connection, reader: type[pickle.Unpickler] = pickle.Unpickler) -> Any:
    head, sizes = reader(BytesIO(connection.recv_bytes())).load()
    buffers = [bytearray(size) for size in sizes]
    for buffer in buffers:
        connection.recv_bytes_into(buffer)
    return reader(BytesIO(head), buffers=buffers).load()
