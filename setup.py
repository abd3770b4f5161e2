"""Finds the packages, so that no list is kept by hand; everything else is in pyproject.toml."""

from setuptools import find_packages, setup

setup(
    packages=[
        *find_packages(include=["sepbench", "sepbench.*"]),
        "sepbench_plugins",
        *(f"sepbench_plugins.{name}" for name in find_packages("plugins")),
        "sepbench_configs",
    ],
    package_dir={"sepbench_configs": "configs", "sepbench_plugins": "plugins"},
)
