"""Finds separators by entry point; a broken one is listed with its reason and stops nothing."""

from __future__ import annotations

import difflib
import inspect
import re
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from sepbench import options as opts
from sepbench.errors import SepbenchError
from sepbench.registry.import_check import failures
from sepbench.separator import EnsembleSeparator, OracleSeparator, Separator
from sepbench.stems import is_stem_name
from sepbench.weights import files

GROUP = "sepbench.separators"
"""The plugin-point group in which every separator, bundled or not, is found."""

_FACTS = ("name", "summary", "stems", "license", "citation")
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True)
class PluginInfo:
    """One registered separator: its class, or the reason why it cannot be used.

    ``distribution`` is what brought it, as ``name version``. ``broken`` tells a faulty plugin from
    one that merely lacks something optional. One that lacks nothing but weights has both: it can
    be trained, and used with the weights that come of it.
    """

    name: str
    distribution: str
    separator: type[Separator] | None
    reason: str | None = None
    broken: bool = False


@dataclass(frozen=True)
class Method:
    """A separator with options: one column of a comparison. Only an ensemble has ``members``."""

    label: str
    separator: type[Separator]
    options: Any
    distribution: str
    members: tuple[Method, ...] = ()

    @property
    def name(self) -> str:
        """The separator's name, without options."""
        return self.separator.name

    @property
    def is_oracle(self) -> bool:
        """Whether it is shown the references."""
        return issubclass(self.separator, OracleSeparator)

    def create(self) -> Separator:
        """Return a new separator with these options, not loaded yet."""
        if issubclass(self.separator, EnsembleSeparator):
            return self.separator(self.options, [member.create() for member in self.members])
        return self.separator(self.options)

    def parts(self) -> Iterator[Method]:
        """Yield this method, and its members and theirs."""
        yield self
        for member in self.members:
            yield from member.parts()

    def identity(self) -> dict[str, Any]:
        """Return all that decides what it makes of a song, ready for JSON."""
        separator = self.create()
        identity = {
            "method": self.name,
            "version": separator.version,
            "distribution": self.distribution,
            "options": vars(self.options),
            "weights": separator.weights.sha256 if separator.weights else None,
        }
        if separator.weight_files:
            identity["weight_files"] = [file.sha256 for file in separator.weight_files]
        if separator.provenance:
            identity["provenance"] = dict(separator.provenance)
        if self.members:
            identity["members"] = [member.identity() for member in self.members]
        return identity


def plugins() -> list[PluginInfo]:
    """Return every registered separator, sorted by name."""
    found = _entry_points()
    fates = _import_failures(point for points in found.values() for point in points)
    return [_plugin(points, fates) for _, points in sorted(found.items())]


def plugin(name: str) -> PluginInfo:
    """Return the registered separator ``name``, and import no other.

    Raises `SepbenchError` where there is none.
    """
    found = _entry_points()
    if name not in found:
        close = difflib.get_close_matches(name, found, n=1)
        cure = f"did you mean {close[0]!r}?" if close else "'sepbench methods' lists them"
        raise SepbenchError(f"no method {name!r}; {cure}")
    return _plugin(found[name], _import_failures(found[name]))


def resolve(spec: str) -> list[Method]:
    """Return the variants that ``name[opt=value,...]`` stands for.

    Raises `SepbenchError` for an unknown or unusable separator and for a wrong option.
    """
    name, values = opts.parse_spec(spec)
    known = plugin(name)
    if known.separator is None:
        raise SepbenchError(f"method {name}: {known.reason}")
    return [variant(known.separator, chosen, known.distribution) for chosen in opts.expand(values)]


def resolve_all(specs: Sequence[str]) -> list[Method]:
    """Return the variants of all ``specs`` in order, each once."""
    return list({method.label: method for spec in specs for method in resolve(spec)}.values())


def metadata(separator: type[Separator], distribution: str = "") -> dict[str, Any]:
    """Return what a separator with default options declares about itself, ready for JSON."""
    return describe(variant(separator, {}, distribution))


def describe(method: Method) -> dict[str, Any]:
    """Return what a method declares about itself, ready for JSON."""
    separator, instance = method.separator, method.create()
    return {
        "name": separator.name,
        "label": method.label,
        "summary": separator.summary,
        "stems": list(instance.stems),
        "remainder": instance.remainder,
        "sample_rate": instance.sample_rate,
        "channels": instance.channels,
        "context": instance.context,
        "oracle": issubclass(separator, OracleSeparator),
        "version": separator.version,
        "license": instance.license,
        "citation": instance.citation,
        "trained_on": list(instance.trained_on),
        "weights": vars(instance.weights) if instance.weights else None,
        "weight_files": [vars(file) for file in instance.weight_files],
        "members": [member.label for member in method.members],
        "options": opts.describe(separator.Options),
        "needs": [need.module or need.program for need in instance.needs],
        "provenance": dict(instance.provenance),
        "distribution": method.distribution,
    }


def lacking(method: Method) -> str | None:
    """Return what a method or one of its members lacks to be used and the cure, None if nothing."""
    separators = (part.create() for part in method.parts())
    reasons = (_missing(separator) or files.missing(separator) for separator in separators)
    return next(filter(None, reasons), None)


def variant(
    separator: type[Separator], values: Mapping[str, Any], distribution: str = ""
) -> Method:
    """Return a separator with options given as texts or values, registered or not."""
    chosen = opts.build(separator.Options, values, method=separator.name)
    members = _members(separator, chosen)
    return Method(
        opts.variant_name(separator.name, chosen), separator, chosen, distribution, members
    )


def _members(separator: type[Separator], options: Any) -> tuple[Method, ...]:
    if not issubclass(separator, EnsembleSeparator):
        return ()
    members = []
    for spec in separator.methods(options):
        try:
            variants = resolve(spec)
        except SepbenchError as error:
            raise SepbenchError(f"method {separator.name}: cannot have {spec}: {error}") from None
        if len(variants) > 1:
            reason = f"means {len(variants)} methods; give each option one value"
            raise SepbenchError(f"method {separator.name}: {spec} {reason}")
        if variants[0].is_oracle:
            raise SepbenchError(f"method {separator.name}: {spec} is an oracle; give none of these")
        members.append(variants[0])
    return tuple(members)


@cache
def _entry_points() -> dict[str, list[EntryPoint]]:
    found: dict[str, list[EntryPoint]] = {}
    for point in entry_points(group=GROUP):
        found.setdefault(point.name, []).append(point)
    return found


def _import_failures(points: Iterable[EntryPoint]) -> dict[str, str]:
    """Return the modules that no process survives importing, and why.

    Those that sepbench brings itself are known to do no harm; to try them too would double the time
    that ``sepbench methods`` takes.
    """
    strange = (point for point in points if point.dist is None or point.dist.name != "sepbench")
    return failures(point.module for point in strange)


def _plugin(points: list[EntryPoint], fates: Mapping[str, str]) -> PluginInfo:
    name = points[0].name
    if len({point.value for point in points}) > 1:
        owners = " and ".join(sorted(map(_owner, points)))
        return PluginInfo(name, owners, None, f"two plugins bear this name: {owners}", broken=True)
    owner = _owner(points[0])
    if points[0].module in fates:
        reason = f"its import {fates[points[0].module]}; 'sepbench plugin check {name}' tells where"
        return PluginInfo(name, owner, None, reason, broken=True)
    try:
        separator = points[0].load()
        fault = validate_plugin(points[0], separator)
        lack = None if fault else _missing(separator())
        unready = None if fault or lack else _unready(separator)
    # A plugin may fail in any way here, by SystemExit too; it must cost one row, not the tool.
    except (Exception, SystemExit) as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        what = " ".join(f"{type(error).__name__}: {error}".split())
        fault = f"import failed: {what} ({where.filename}:{where.lineno})"
        return PluginInfo(name, owner, None, fault, broken=True)
    if fault or lack:
        return PluginInfo(name, owner, None, fault or lack, broken=bool(fault))
    return PluginInfo(name, owner, separator, unready)


def _owner(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else "unknown"


def validate_plugin(point: EntryPoint, separator: Any) -> str | None:
    """Say why what an entry point stands for is no separator, if it is none."""
    if not (inspect.isclass(separator) and issubclass(separator, Separator)):
        return f"{point.value} is no subclass of sepbench.separator.Separator"
    if inspect.isabstract(separator):
        missing = ", ".join(sorted(separator.__abstractmethods__))
        return f"{point.value} does not define {missing}"
    lacking = [fact for fact in _FACTS if not hasattr(separator, fact)]
    if lacking:
        return f"{point.value} does not declare {', '.join(lacking)}"
    if separator.name != point.name or not _NAME.fullmatch(point.name):
        return f"entry point {point.name!r} and class name {separator.name!r} must be the same word"
    # The stems of an ensemble are those of members that it does not have yet.
    return None if issubclass(separator, EnsembleSeparator) else _wrong_stems(separator())


def _wrong_stems(separator: Separator) -> str | None:
    try:
        separator.stems  # noqa: B018
    except SepbenchError:
        return None  # Its stems depend on an option without a default; `_unready` says which.
    wrong = [stem for stem in separator.stems if not is_stem_name(stem)]
    if wrong:
        return f"{wrong[0]!r} cannot be a stem; write lower-case letters, digits, '_' and '-'"
    if not separator.stems:
        return "it declares no stems"
    if separator.remainder is not None and separator.remainder not in separator.stems:
        return f"its remainder {separator.remainder!r} is none of its stems"
    return None


def _unready(separator: type[Separator]) -> str | None:
    """Say what a separator lacks to be used with its default options, and not to be trained."""
    try:
        metadata(separator)
    except SepbenchError as error:
        return str(error)
    return files.missing(variant(separator, {}).create())


def _missing(separator: Separator) -> str | None:
    return next(filter(None, (need.missing() for need in separator.needs)), None)
