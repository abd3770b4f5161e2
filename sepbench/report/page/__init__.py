"""The page of a run: one HTML file with tables, plots, audio and ratings, without a server."""
