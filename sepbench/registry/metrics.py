"""Finds metrics by entry point; a broken one is listed with its reason and stops nothing."""

from __future__ import annotations

import difflib
import inspect
import traceback
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from typing import Any

from sepbench import options as opts
from sepbench._util.import_check import failures
from sepbench.errors import SepbenchError
from sepbench.metrics.metric import SetMetric
from sepbench.metrics.protocols import PROTOCOLS, Protocol, of_metric, of_unknown

METRIC_GROUP = "sepbench.metrics"
"""The entry-point group in which every metric, bundled or not, is found."""

ALL = "all"

_FACTS = ("name", "summary", "higher_is_better", "silence", "source")


@dataclass(frozen=True)
class MetricInfo:
    """One registered metric: its class, or the reason why it cannot be used.

    ``distribution`` is what brought it, as ``name version``. ``broken`` tells a faulty plugin from
    one that merely lacks something optional.
    """

    name: str
    distribution: str
    metric: type[SetMetric] | None
    reason: str | None = None
    broken: bool = False


def metrics() -> list[MetricInfo]:
    """Return every registered metric, sorted by name."""
    _check_imports([point for points in _entry_points().values() for point in points])
    return [_info(name) for name in sorted(_entry_points())]


def metric(name: str) -> MetricInfo:
    """Return the registered metric ``name``, and import no other.

    Raises `SepbenchError` where there is none.
    """
    found = _entry_points()
    if name not in found:
        close = difflib.get_close_matches(name, [*found, *groups()], n=1)
        cure = f"did you mean {close[0]!r}?" if close else "'sepbench metrics' lists them"
        raise SepbenchError(f"no metric {name!r}; {cure}")
    _check_imports(found[name])
    return _info(name)


def groups() -> dict[str, list[str]]:
    """Return the words that stand for several metrics, with the names of these."""
    found: dict[str, list[str]] = {}
    for info in metrics():
        for group in info.metric.groups if info.metric else ():
            found.setdefault(group, []).append(info.name)
    usable = [info.name for info in metrics() if info.reason is None]
    return {**dict(sorted(found.items())), ALL: usable}


def resolve_metrics(specs: Sequence[str]) -> list[SetMetric]:
    """Return the metrics that names, groups and ``name[option=value]`` stand for, each once.

    ``sdr`` always comes first. Raises `SepbenchError` for a metric that is unknown or cannot be
    used, for a wrong option, and for two that would store a score under one name. A member of a
    group that lacks something is left out.
    """
    chosen: dict[str, SetMetric] = {}
    for spec in ("sdr", *specs):
        for found in _resolve(spec):
            chosen.setdefault(found.label, found)
    owners: dict[str, str] = {}
    for label, found in chosen.items():
        for score in map(found.id_of, (*found.totals, *found.frames)):
            if owners.setdefault(score, label) != label:
                raise SepbenchError(
                    f"metrics {owners[score]} and {label} both give {score!r}; choose one of them"
                )
    return list(chosen.values())


def left_out(specs: Sequence[str]) -> list[str]:
    """Return a line for each member of a chosen group that cannot be used, with the reason."""
    chosen = {name for spec in specs for name in _members(spec)}
    return [
        f"metric {info.name} is left out: {info.reason}"
        for info in metrics()
        if info.reason is not None and (info.name in chosen or ALL in specs)
    ]


def metric_identities(specs: Sequence[str]) -> list[str]:
    """Return what decides the scores of metrics beside the signals, sorted."""
    return sorted(found.identity for found in resolve_metrics(specs))


def metric_facts(metric: SetMetric, distribution: str = "") -> dict[str, Any]:
    """Return what a metric declares about itself, ready for JSON."""
    protocol = of_metric(metric)
    return {
        "name": metric.name,
        "summary": metric.summary,
        "groups": list(metric.groups),
        "totals": list(metric.totals),
        "frames": list(metric.frames),
        "unit": metric.unit,
        "higher_is_better": metric.higher_is_better,
        "silence": metric.silence,
        "source": metric.source,
        "license": metric.license,
        "version": metric.version,
        "sample_rate": metric.sample_rate,
        "protocols": [protocol.id] if protocol else _published(metric),
        "options": opts.describe(metric.Options),
        "golden": [vars(golden) for golden in metric.golden],
        "distribution": distribution,
    }


def protocol(name: str) -> Protocol:
    """Return the published protocol ``name``, or that of the metric ``name``.

    Raises `SepbenchError` where there is none.
    """
    if name in PROTOCOLS:
        return PROTOCOLS[name]
    bare = name.partition("[")[0]
    if bare not in _entry_points():
        known = [*PROTOCOLS, *_entry_points()]
        close = difflib.get_close_matches(name, known, n=1)
        cure = f"did you mean {close[0]!r}?" if close else f"choose {', '.join(known)}"
        raise SepbenchError(f"no protocol {name!r}; {cure}")
    (found,) = _resolve(name)
    own = of_metric(found)
    if own is None:
        raise SepbenchError(
            f"metric {name} has no protocol of its own; choose {', '.join(_published(found))}"
        )
    return own


def protocols_of(scores: Iterable[str]) -> dict[str, Protocol]:
    """Return the protocols that ids of stored scores belong to, published ones first.

    A score whose metric is not installed has a protocol too; its unit is not known.
    """
    return _protocols_of(frozenset(scores))


@cache
def _protocols_of(scores: frozenset[str]) -> dict[str, Protocol]:
    found = {key: one for key, one in PROTOCOLS.items() if not scores.isdisjoint(one.metrics)}
    rest = sorted(scores - {score for one in PROTOCOLS.values() for score in one.metrics})
    unknown = []
    for score in rest:
        if any(score in one.metrics for one in found.values()):
            continue
        try:
            own = protocol(score if "[" in score else score.partition(" ")[0])
        except SepbenchError:
            own = None
        if own is not None and score in own.metrics:
            found[own.id] = own
        else:
            unknown.append(score)
    return {**found, **of_unknown(unknown)}


def _published(metric: SetMetric) -> list[str]:
    own = {metric.id_of(score) for score in (*metric.totals, *metric.frames)}
    return [one.id for one in PROTOCOLS.values() if own & set(one.metrics)]


def _members(spec: str) -> list[str]:
    """Return the names that a group stands for, none for a metric's own name."""
    if spec in _entry_points() or "[" in spec:
        return []
    return groups().get(spec, [])


def _resolve(spec: str) -> list[SetMetric]:
    members = _members(spec)
    if members:
        infos = [metric(name) for name in members]
        return [info.metric() for info in infos if info.metric and info.reason is None]
    name, values = opts.parse_spec(spec)
    info = metric(name)
    if info.metric is None or info.reason is not None:
        raise SepbenchError(f"metric {name}: {info.reason}")
    several = [key for key, given in values.items() if len(given) > 1]
    if several:
        raise SepbenchError(f"metric {name}: give {several[0] or 'its option'} one value")
    plain = {key: given[0] for key, given in values.items()}
    return [info.metric(opts.build(info.metric.Options, plain, method=name))]


@cache
def _entry_points() -> dict[str, list[EntryPoint]]:
    found: dict[str, list[EntryPoint]] = {}
    for point in entry_points(group=METRIC_GROUP):
        found.setdefault(point.name, []).append(point)
    return found


_harmful: dict[str, str] = {}
"""What the import of a module does that no process survives; none for those that do no harm."""


def _check_imports(points: Iterable[EntryPoint]) -> None:
    """Try the modules of foreign plugins, together and once, in a process of its own."""
    foreign = {point.module for point in points if not point.dist or point.dist.name != "sepbench"}
    new = sorted(foreign - set(_harmful))
    if new:
        _harmful.update({**dict.fromkeys(new, ""), **failures(new)})


@cache
def _info(name: str) -> MetricInfo:
    points = _entry_points()[name]
    point = points[0]
    owner = f"{point.dist.name} {point.dist.version}" if point.dist else "unknown"
    if len({other.value for other in points}) > 1:
        return MetricInfo(point.name, owner, None, "two plugins have this name", broken=True)
    if _harmful.get(point.module):
        reason = f"its import {_harmful[point.module]}"
        return MetricInfo(point.name, owner, None, reason, broken=True)
    try:
        found = point.load()
        fault = validate_metric(point, found)
    # A plugin may fail in any way here, by SystemExit too; it must cost one row, not the tool.
    except (Exception, SystemExit) as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        what = " ".join(f"{type(error).__name__}: {error}".split())
        fault = f"import failed: {what} ({where.filename}:{where.lineno})"
    if fault:
        return MetricInfo(point.name, owner, None, fault, broken=True)
    lacking = [cure for module, cure in found.needs if find_spec(module) is None]
    return MetricInfo(point.name, owner, found, lacking[0] if lacking else None)


def validate_metric(point: EntryPoint, metric: Any) -> str | None:
    """Return why what an entry point names is not a valid metric, or None."""
    if not (inspect.isclass(metric) and issubclass(metric, SetMetric)):
        return f"{point.value} is not a subclass of sepbench.metrics.metric.Metric"
    if inspect.isabstract(metric):
        missing = ", ".join(sorted(metric.__abstractmethods__))
        return f"{point.value} does not define {missing}"
    lacking = [fact for fact in _FACTS if not hasattr(metric, fact)]
    if lacking:
        return f"{point.value} does not declare {', '.join(lacking)}"
    if metric.name != point.name:
        return f"entry point {point.name!r} and class name {metric.name!r} must be the same word"
    if not (metric.totals or metric.frames):
        return f"{point.value} declares neither totals nor frames; name its scores"
    return None
