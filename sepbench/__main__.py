"""``python -m sepbench`` is the command ``sepbench``."""

from sepbench.cli.main import main

if __name__ == "__main__":
    main(prog_name="sepbench")
