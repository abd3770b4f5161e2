"""Weight files: locating, fetching, writing and converting."""
