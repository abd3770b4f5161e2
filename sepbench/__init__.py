"""sepbench: many music source separators on the same songs, compared with numbers and sound."""

__version__ = "0.1.0"
