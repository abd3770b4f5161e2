"""Imported by the server from which workers are forked, where it ignores SIGTERM.

A signal to the whole process group, as ``timeout`` and job schedulers send it, must not end the
server before sepbench has stopped its workers: their deaths would be recorded as failures of
methods. The server ends with sepbench itself. In any other process the import does nothing.
"""

import signal
import sys
from multiprocessing import forkserver

# The server is started by a command that imports this function.
if getattr(sys.modules["__main__"], "main", None) is forkserver.main:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
