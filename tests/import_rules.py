"""An import-linter contract that lists what is allowed, not what is forbidden."""

from __future__ import annotations

from typing import Any

from importlinter import Contract, ContractCheck, fields, output


class AllowedImports(Contract):
    """Modules of ``package`` import nothing of ``library`` but the ``allowed`` modules."""

    package = fields.StringField()
    library = fields.StringField()
    allowed = fields.SetField(subfield=fields.StringField())

    def check(self, graph: Any, verbose: bool) -> ContractCheck:
        """Return every direct import that is not allowed."""
        found = [
            f"{module} -> {imported}"
            for module in sorted({str(self.package)} | graph.find_descendants(self.package))
            for imported in sorted(graph.find_modules_directly_imported_by(module))
            if _is_in(imported, {str(self.library)}) and not _is_in(imported, self.allowed)
        ]
        return ContractCheck(kept=not found, metadata={"found": found})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Print the imports, and what would have been allowed."""
        output.print_error(f"{self.package} may import {', '.join(sorted(self.allowed))}; not:")
        for line in check.metadata["found"]:
            output.print_error(f"- {line}")


def _is_in(module: str, packages: Any) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)
