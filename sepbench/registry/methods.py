"""Methods: separators with options, written ``name`` or ``name[option=value,...]``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sepbench import options as opts
from sepbench.errors import MethodError, SepbenchError, describe
from sepbench.registry import discovery
from sepbench.registry.facts import invalid_fact, invalid_file_fact
from sepbench.separator import AnySeparator


@dataclass(frozen=True)
class Method:
    """A separator with options: one row of a comparison. Only ensembles have ``members``."""

    label: str
    separator: type[AnySeparator]
    options: Any
    distribution: str
    members: tuple[Method, ...] = ()

    @property
    def name(self) -> str:
        """The separator's name, without options."""
        return self.separator.name

    @property
    def is_oracle(self) -> bool:
        """Whether it is given the references."""
        return self.separator.needs_references

    def create(self) -> AnySeparator:
        """Return a new separator with these options, not loaded yet."""
        members = [member.create() for member in self.members]
        try:
            separator = self.separator.create(self.options, members)
        except SepbenchError:
            raise
        except (Exception, SystemExit) as error:  # A plugin's __init__ may raise anything.
            raise MethodError(self.label, describe(error)) from error
        if (fault := invalid_fact(separator)) is not None:
            raise MethodError(self.label, fault)
        return separator

    @cached_property
    def declared(self) -> AnySeparator:
        """A separator that is never loaded, for its facts, which are computed once."""
        return self.create()

    def parts(self) -> Iterator[Method]:
        """Yield this method and, recursively, its members."""
        yield self
        for member in self.members:
            yield from member.parts()

    @cached_property
    def identity(self) -> dict[str, Any]:
        """Everything that decides its stems, ready for JSON."""
        separator = self.declared
        if (fault := invalid_file_fact(separator)) is not None:
            raise MethodError(self.label, fault)
        identity: dict[str, Any] = {
            "method": self.name,
            "version": separator.version,
            "distribution": self.distribution,
            "options": vars(self.options),
            "weights": [file.sha256 for file in separator.weight_files],
        }
        if separator.provenance:
            identity["provenance"] = dict(separator.provenance)
        if self.members:
            identity["members"] = [member.identity for member in self.members]
        return identity

    def reason(self, error: SepbenchError) -> str:
        """Return why this method failed; only other methods, such as its members, are named."""
        if isinstance(error, MethodError) and error.method in (self.label, self.name):
            return error.reason
        return str(error)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out cached facts: another process computes them when needed."""
        return {k: v for k, v in self.__dict__.items() if k not in ("declared", "identity")}


def resolve(spec: str) -> list[Method]:
    """Return the variants of ``name[opt=value,...]``.

    Raises `SepbenchError` for an unknown or unusable separator and for a wrong option.
    """
    name, values = opts.parse_spec(spec)
    known = discovery.load(name)
    if known.separator is None:
        raise MethodError(name, str(known.reason))
    return [variant(known.separator, chosen, known.distribution) for chosen in opts.expand(values)]


def why_unusable(methods: Iterable[Method]) -> dict[str, SepbenchError]:
    """Return by label why methods cannot be used, such as those with a wrong card."""
    found = {}
    for method in methods:
        try:
            _ = method.identity, method.declared.stems
        except SepbenchError as error:
            found[method.label] = error
    return found


def resolve_all(specs: Sequence[str]) -> list[Method]:
    """Return the variants of all ``specs`` in order, each once."""
    return list({method.label: method for spec in specs for method in resolve(spec)}.values())


def variant(
    separator: type[AnySeparator], values: Mapping[str, Any], distribution: str = ""
) -> Method:
    """Return a separator with options given as texts or values, registered or not."""
    chosen = opts.build(separator.Options, values, method=separator.name)
    members = _members(separator, chosen)
    return Method(
        opts.variant_name(separator.name, chosen), separator, chosen, distribution, members
    )


def _members(separator: type[AnySeparator], options: Any) -> tuple[Method, ...]:
    members = []
    for spec in separator.methods(options):
        try:
            variants = resolve(spec)
        except SepbenchError as error:
            raise MethodError(separator.name, f"cannot have {spec}: {error}") from None
        if len(variants) > 1:
            reason = f"means {len(variants)} methods; give each option one value"
            raise MethodError(separator.name, f"{spec} {reason}")
        if variants[0].is_oracle:
            raise MethodError(separator.name, f"{spec} is an oracle; name other methods")
        members.append(variants[0])
    return tuple(members)
