"""The one exception that becomes a one-line message."""


class SepbenchError(Exception):
    """What went wrong and its cure, in the words of the person who can mend it.

    The command line prints it as one line and exits with status 2. Any other exception is a bug
    and keeps its traceback.
    """
