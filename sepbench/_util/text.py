"""Makes names and messages from outside safe to print and to compare."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable
from fnmatch import fnmatchcase

# Characters that change the direction of text, and line separators.
_RANGES = ((0x61C, 0x61C), (0x200E, 0x200F), (0x2028, 0x202E), (0x2066, 0x2069))
_DIGITS = 16
_NUMBER = re.compile(r"^\s*\d{1,3}(\s+-\s+|\.\s+|\s*_\s*)(?=.*[^\W\d_])")
"""A number of a track before its name."""

_ODD = frozenset(chr(code) for first, last in _RANGES for code in range(first, last + 1))


def printable(text: str, *, keep: str = "") -> str:
    r"""Return a text without characters that affect a terminal, a table or an editor.

    Control characters, direction marks and bytes that are not UTF-8 become Python escapes, so that
    the name can be recovered; characters in ``keep`` stay.

    >>> print(printable("caf\udce9 \x1b[31m"))
    caf\udce9 \x1b[31m
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(char if char in keep or not _acts(char) else _escape(char) for char in text)


def three_digits(number: float) -> str:
    """Return a number rounded to three digits, without an exponent below a million.

    >>> three_digits(1166.4), three_digits(2.0), three_digits(0.04567)
    ('1170', '2', '0.0457')
    """
    return f"{float(f'{number:.3g}'):g}"


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, which is regular.

    >>> counted(1, "track"), counted(2, "track")
    ('1 track', '2 tracks')
    """
    return f"{number} {noun}{'' if number == 1 else 's'}"


def listed(names: Iterable[str], *, most: int = 3) -> str:
    """Return the first ``most`` names, and how many others there are.

    >>> listed("ab"), listed("abcde")
    ('a, b', 'a, b, c and 2 more')
    """
    every = list(names)
    more = f" and {len(every) - most} more" if len(every) > most else ""
    return ", ".join(every[:most]) + more


def composed(name: str) -> str:
    """Return a name in Unicode NFC, the form of every song's name in sepbench.

    Linux keeps names as they were typed, in NFC; a Mac may decompose them to NFD.

    >>> composed("Sen\u0303or") == "Se\u00f1or"
    True
    """
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def same_name(text: str) -> str:
    """Return a name in the form used for comparison: `composed`, without blanks at the ends.

    >>> same_name("Sen\u0303or ") == same_name("Se\u00f1or")
    True
    """
    return composed(text).strip()


def matches(name: str, pattern: str) -> bool:
    """Return whether a name is ``pattern``, or matches it as a glob; case does not matter.

    >>> matches("Se\u00f1or [live]", "sen\u0303or*"), matches("One [live]", "One [live]")
    (True, True)
    """
    name, pattern = composed(name), composed(pattern)
    # A name may contain brackets, which have another meaning in a glob.
    return name == pattern or fnmatchcase(name.lower(), pattern.lower())


def song_key(name: str) -> str:
    """Return a key that is the same for the spellings of a song's name in different data sets.

    >>> song_key("AM Contra - Heart Peripheral") == song_key("am_contra-heart peripheral")
    True
    """
    plain = unicodedata.normalize("NFKC", name).casefold()
    return "".join(char for char in plain if char.isalnum()) or plain


def song_keys(name: str) -> frozenset[str]:
    """Return `song_key` of a name, and that without a number before it, as in DSD100.

    >>> sorted(song_keys("051 - AM Contra - Heart Peripheral"))
    ['051amcontraheartperipheral', 'amcontraheartperipheral']
    """
    return frozenset({song_key(name), song_key(_NUMBER.sub("", name))})


def song_marks(name: str) -> frozenset[str]:
    """Return hashes of `song_keys`, which identify a song without revealing its name.

    >>> song_marks("AM Contra - Heart") < song_marks("051 - AM Contra - Heart")
    True
    """
    return frozenset(map(_mark, song_keys(name)))


def _mark(key: str) -> str:
    return hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()[:_DIGITS]


def _acts(char: str) -> bool:
    return char in _ODD or unicodedata.category(char) in ("Cc", "Cs")


def _escape(char: str) -> str:
    return char.encode("unicode_escape", "surrogatepass").decode("ascii")
