"""The page of a run: one HTML file to see, hear and judge separations, without a server."""
