"""The exceptions that become a one-line message."""


class SepbenchError(Exception):
    """An error that the user can fix; the message says what is wrong and how to fix it.

    The command line prints it as one line and exits with status 2. Any other exception is a bug
    and keeps its traceback.
    """


class MethodError(SepbenchError):
    """An error of one method; a table that names the method has the ``reason`` alone.

    >>> print(MethodError("hpss[margin=2]", "took longer than 5 s"))
    method hpss[margin=2]: took longer than 5 s
    """

    def __init__(self, method: str, reason: str) -> None:
        super().__init__(method, reason)  # As `pickle` calls it again.
        self.method, self.reason = method, reason

    def __str__(self) -> str:
        return f"method {self.method}: {self.reason}"


def on_one_line(error: SepbenchError) -> SepbenchError:
    """Return an error with its text on one line; a program's message may have several."""
    if isinstance(error, MethodError):
        return MethodError(error.method, " ".join(error.reason.split()))
    return SepbenchError(" ".join(str(error).split()))


def describe(error: BaseException) -> str:
    """Return the kind and the message of any exception on one line, whatever its own text does.

    >>> describe(ValueError("no luck\\ntoday"))
    'ValueError: no luck today'
    """
    kind = type(error).__name__
    try:
        text = " ".join(str(error).split())
    except BaseException as fault:  # A plugin's __str__ may raise anything.
        return f"{kind} (its message raises {type(fault).__name__})"
    return f"{kind}: {text}" if text else kind
