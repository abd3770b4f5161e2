"""What the installed separators declare about themselves, and which of them can be used."""

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
    """Return the registered separator ``name``, and import no other.

    Raises `SepbenchError` where there is none.
    """
    return _with_readiness(discovery.load(name))


def listing() -> list[dict[str, Any]]:
    """Return what every installed method declares, or why it is not ``available``."""
    return [overview(info) for info in plugins()]


def overview(info: PluginInfo) -> dict[str, Any]:
    """Return what one method declares, or why it is not ``available``, ready for JSON."""
    if info.separator is None or info.reason is not None:
        return {"name": info.name, "available": False, "reason": info.reason}
    return {**metadata(info.separator, info.distribution), "available": True, "reason": None}


def metadata(separator: type[AnySeparator], distribution: str = "") -> dict[str, Any]:
    """Return what a separator declares about itself with its default options, ready for JSON."""
    return describe(variant(separator, {}, distribution))


def describe(method: Method) -> dict[str, Any]:
    """Return what a method declares about itself, ready for JSON.

    ``context`` counts seconds, or is a text such as ``4096 samples``.
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
    """Return what a method or one of its members needs and the cure, or None if all is here."""
    declared = (part.declared for part in method.parts())
    reasons = (discovery.missing(separator) or files.missing(separator) for separator in declared)
    return next(filter(None, reasons), None)


def _plain(file: WeightFile) -> dict[str, Any]:
    return {**vars(file), "path": None if file.path is None else str(file.path)}


def _with_readiness(info: PluginInfo) -> PluginInfo:
    """Add why a separator cannot be used with its default options, if it lacks weights."""
    if info.separator is None:
        return info
    try:
        method = variant(info.separator, {}, info.distribution)
        describe(method)
        reason = lacking(method)
    except SepbenchError as error:
        reason = str(error)
    # A plugin may fail in any way here too.
    except (Exception, SystemExit) as error:
        reason = describe_failure(error)
        return replace(info, separator=None, reason=reason, broken=True)
    return replace(info, reason=reason)
