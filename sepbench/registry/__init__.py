"""Finds the installed separators, and reads what they declare."""

from sepbench.registry.methods import (
    GROUP,
    Method,
    PluginInfo,
    describe,
    lacking,
    metadata,
    plugin,
    plugins,
    resolve,
    resolve_all,
    validate_plugin,
    variant,
)

__all__ = [
    "GROUP",
    "Method",
    "PluginInfo",
    "describe",
    "lacking",
    "metadata",
    "plugin",
    "plugins",
    "resolve",
    "resolve_all",
    "validate_plugin",
    "variant",
]
