"""Finds the installed separators, and reads their metadata."""

from sepbench.registry.discovery import GROUP, PluginInfo, validate
from sepbench.registry.metadata import describe, lacking, metadata, plugin, plugins
from sepbench.registry.methods import Method, resolve, resolve_all, variant, why_unusable

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
    "validate",
    "variant",
    "why_unusable",
]
