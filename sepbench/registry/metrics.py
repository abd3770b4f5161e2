"""Finds metrics by entry point; a broken one is listed with its reason."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint
from importlib.util import find_spec
from typing import Any

from sepbench import options as opts
from sepbench._util import entry_points
from sepbench._util.entry_points import Loaded
from sepbench.errors import SepbenchError
from sepbench.metrics.metric import SetMetric
from sepbench.metrics.protocols import PROTOCOLS, Protocol, of_metric, of_unknown, with_score

METRIC_GROUP = "sepbench.metrics"
"""The entry-point group of every metric, bundled or not."""

ALL = "all"

_FACTS = ("name", "summary", "higher_is_better", "silence", "source")


@dataclass(frozen=True)
class MetricInfo:
    """A registered metric: its class, or the reason it cannot be used.

    ``distribution`` is the package that contains it, as ``name version``. ``broken`` distinguishes
    a faulty plugin from one without an optional requirement.
    """

    name: str
    distribution: str
    metric: type[SetMetric] | None
    reason: str | None = None
    broken: bool = False


def metrics() -> list[MetricInfo]:
    """Return every registered metric, sorted by name."""
    return [_info(loaded) for loaded in _load_all()]


def metric(name: str) -> MetricInfo:
    """Return the registered metric ``name``, without importing others.

    Raises `SepbenchError` if there is none.
    """
    found = entry_points.find(METRIC_GROUP)
    if name not in found:
        grouped = groups()
        close = difflib.get_close_matches(name.lower(), [*found, *grouped], n=1)
        cure = f"did you mean {close[0]!r}?" if close else "'sepbench metrics' lists them"
        if owners := of_score(name):
            cure = f"it is a score of the metric {' and of '.join(owners)}"
        if name in grouped:
            cure = f"it is a group, of {', '.join(grouped[name])}"
        if "," in name:
            cure = f"write --metric for each: --metric {' --metric '.join(name.split(','))}"
        raise SepbenchError(f"no metric {name!r}; {cure}")
    return _info(_load(name))


def of_score(score: str) -> list[str]:
    """Return the metrics that have a score of this name, in any case of its letters."""
    owners = [
        info.name
        for info in metrics()
        if info.metric
        and score.lower() in map(str.lower, (*info.metric.totals, *info.metric.frames))
    ]
    return sorted(owners, key=lambda name: name != "sdr")


def groups() -> dict[str, list[str]]:
    """Return the groups of metrics, each with the names of its members."""
    found: dict[str, list[str]] = {}
    for info in metrics():
        for group in info.metric.groups if info.metric else ():
            found.setdefault(group, []).append(info.name)
    usable = [info.name for info in metrics() if info.reason is None]
    return {**dict(sorted(found.items())), ALL: usable}


def resolve_metrics(specs: Sequence[str]) -> list[SetMetric]:
    """Return the metrics of names, groups and ``name[option=value]``, each once.

    ``sdr`` always comes first. Raises `SepbenchError` for a metric that is unknown or cannot be
    used, for a wrong option, and for two metrics whose scores have the same name. Members of a
    group with missing requirements are left out.
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
    """Return everything but the signals that decides scores, sorted."""
    return sorted(found.identity for found in resolve_metrics(specs))


def metric_facts(metric: SetMetric, distribution: str = "") -> dict[str, Any]:
    """Return the metadata of a metric, ready for JSON."""
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
    """Return the published protocol ``name``, or the protocol of the metric ``name``.

    Raises `SepbenchError` if there is none.
    """
    if not isinstance(name, str):
        raise SepbenchError(f"no protocol {name!r}; choose {', '.join(protocol_names())}")
    if name in PROTOCOLS:
        return PROTOCOLS[name]
    bare = name.partition("[")[0]
    if bare not in entry_points.find(METRIC_GROUP):
        known = protocol_names()
        close = difflib.get_close_matches(name.lower(), known, n=1)
        cure = f"did you mean {close[0]!r}?" if close else f"choose {', '.join(known)}"
        if name.lower() not in known and (scored := with_score(name)):
            cure = f"it is a score of {', '.join(scored)}"
        raise SepbenchError(f"no protocol {name!r}; {cure}")
    (found,) = _resolve(name)
    own = of_metric(found)
    if own is None:
        raise SepbenchError(
            f"metric {name} has no protocol of its own; choose {', '.join(_published(found))}"
        )
    return own


def protocol_names(beginning: str = "") -> list[str]:
    """Return the names of protocols, published ones first, that begin with some letters.

    Only metrics that begin so are imported; those that do not work are left out.
    """
    names = [name for name in PROTOCOLS if name.startswith(beginning)]
    for name in sorted(entry_points.find(METRIC_GROUP)):
        if name.startswith(beginning) and name not in PROTOCOLS:
            with suppress(SepbenchError):
                names.append(protocol(name).id)
    return names


def protocols_of(scores: Iterable[str]) -> dict[str, Protocol]:
    """Return the protocols of the ids of stored scores, published ones first.

    A score whose metric is not installed has a protocol too, without unit.
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
    """Return the members of a group, none for the name of a metric."""
    if spec in entry_points.find(METRIC_GROUP) or "[" in spec:
        return []
    return groups().get(spec, [])


def _resolve(spec: str) -> list[SetMetric]:
    members = _members(spec)
    if members:
        infos = [metric(name) for name in members]
        return [info.metric() for info in infos if info.metric and info.reason is None]
    name, values = opts.parse_spec(spec, kind="metric")
    info = metric(name)
    if info.metric is None or info.reason is not None:
        raise SepbenchError(f"metric {name}: {info.reason}")
    several = [key for key, given in values.items() if len(given) > 1]
    if several:
        raise SepbenchError(f"metric {name}: give {several[0] or 'its option'} one value")
    plain = {key: given[0] for key, given in values.items()}
    return [info.metric(opts.read_fields(info.metric.Options, plain, where=f"metric {name}"))]


@cache
def _load_all() -> list[Loaded]:
    return entry_points.load_all(METRIC_GROUP, validate_metric)


@cache
def _load(name: str) -> Loaded:
    return entry_points.load(METRIC_GROUP, name, validate_metric)


def _info(loaded: Loaded) -> MetricInfo:
    name, owner = loaded.name, loaded.distribution
    if loaded.value is None:
        return MetricInfo(name, owner, None, loaded.reason, broken=True)
    lacking = [cure for module, cure in loaded.value.needs if find_spec(module) is None]
    return MetricInfo(name, owner, loaded.value, lacking[0] if lacking else None)


def validate_metric(point: EntryPoint, metric: Any) -> str | None:
    """Return why the object of an entry point is not a valid metric, or None."""
    if not entry_points.inherits(metric, SetMetric):
        return f"{point.value} is not a subclass of sepbench.metrics.metric.Metric"
    if inspect.isabstract(metric):
        missing = ", ".join(sorted(metric.__abstractmethods__))
        return f"{point.value} does not define {missing}"
    lacking = [fact for fact in _FACTS if not hasattr(metric, fact)]
    if lacking:
        return f"{point.value} does not declare {', '.join(lacking)}"
    if metric.name != point.name:
        return f"entry point {point.name!r} and class name {metric.name!r} must be the same word"
    if point.name in PROTOCOLS:
        return f"{point.name!r} is the name of a published protocol; choose another name"
    if not (metric.totals or metric.frames):
        return f"{point.value} declares neither totals nor frames; name its scores"
    return opts.unfit(metric.Options)
