"""Metadata of the installed separators, and whether they can be used."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sepbench import options as opts
from sepbench._util.entry_points import describe_failure
from sepbench.errors import SepbenchError
from sepbench.registry import discovery
from sepbench.registry.discovery import PluginInfo
from sepbench.registry.methods import Method, variant
from sepbench.separator import AnySeparator, SampleCount, WeightFile
from sepbench.weights import files


def plugins() -> list[PluginInfo]:
    """Return every registered separator, sorted by name, and whether it can be used."""
    return [_with_readiness(info) for info in discovery.load_all()]


def plugin(name: str) -> PluginInfo:
    """Return the registered separator ``name``, without importing others.

    Raises `SepbenchError` where there is none.
    """
    return _with_readiness(discovery.load(name))


def listing() -> list[dict[str, Any]]:
    """Return the metadata of every installed method, or why it is not ``available``."""
    return [overview(info) for info in plugins()]


def overview(info: PluginInfo) -> dict[str, Any]:
    """Return the metadata of a method and why it is not ``available``, ready for JSON.

    One that cannot be imported has its name and the reason alone; one whose metadata depend on an
    option that must be given has its ``options`` too.
    """
    facts: dict[str, Any] = {"name": info.name}
    if info.separator is not None:
        try:
            facts = metadata(info.separator, info.distribution)
        except SepbenchError:
            facts["options"] = opts.describe(info.separator.Options)
    return {**facts, "available": info.reason is None, "reason": info.reason}


def metadata(separator: type[AnySeparator], distribution: str = "") -> dict[str, Any]:
    """Return the metadata of a separator with its default options, ready for JSON."""
    return describe(variant(separator, {}, distribution))


def describe(method: Method) -> dict[str, Any]:
    """Return the metadata of a method, ready for JSON.

    ``context`` is in seconds, or a text such as ``4096 samples``.
    """
    declared = method.declared
    context = declared.context
    return {
        "name": declared.name,
        "label": method.label,
        "summary": declared.summary,
        "stems": list(declared.stems),
        "remainder": declared.remainder,
        "sample_rate": declared.sample_rate,
        "channels": declared.channels,
        "context": str(context) if isinstance(context, SampleCount) else context,
        "level": declared.level,
        "oracle": method.is_oracle,
        "version": declared.version,
        "license": declared.license,
        "citation": declared.citation,
        "trained_on": list(declared.trained_on),
        "weight_files": [_plain(file) for file in declared.weight_files],
        "members": [member.label for member in method.members],
        "options": opts.describe(declared.Options),
        "needs": [need.module or need.program for need in declared.needs],
        "provenance": dict(declared.provenance),
        "distribution": method.distribution,
    }


def lacking(method: Method) -> str | None:
    """Return what a method or one of its members lacks and the cure, or None."""
    declared = (part.declared for part in method.parts())
    reasons = (discovery.missing(separator) or files.missing(separator) for separator in declared)
    return next(filter(None, reasons), None)


def _plain(file: WeightFile) -> dict[str, Any]:
    return {**vars(file), "path": None if file.path is None else str(file.path)}


def _with_readiness(info: PluginInfo) -> PluginInfo:
    """Add the reason if a separator's default weights are missing."""
    if info.separator is None:
        return info
    try:
        method = variant(info.separator, {}, info.distribution)
        describe(method)
        reason = lacking(method)
    except SepbenchError as error:
        reason = str(error)
    # A plugin may raise anything here too.
    except (Exception, SystemExit) as error:
        reason = describe_failure(error)
        return replace(info, separator=None, reason=reason, broken=True)
    return replace(info, reason=reason)
