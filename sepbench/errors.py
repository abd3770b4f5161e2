"""The exception that becomes a one-line message."""


class SepbenchError(Exception):
    """An error that the user can fix; the message says what is wrong and how to fix it.

    The command line prints it as one line and exits with status 2. Any other exception is a bug
    and keeps its traceback.
    """


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
