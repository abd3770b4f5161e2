"""A package of this name, for nussl installs one, too."""
