"""Songs with known stems, whatever the layout they are stored in."""
