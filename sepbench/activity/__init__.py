"""Voice activity: where in a song someone sings."""
