"""Imported by the server from which workers are forked, and by nothing else.

A signal to the whole process group, as ``timeout`` and job schedulers send it, must not end the
server before sepbench has stopped its workers: their deaths would be recorded as failures of
methods. The server ends with sepbench itself.
"""

import signal

signal.signal(signal.SIGTERM, signal.SIG_IGN)
