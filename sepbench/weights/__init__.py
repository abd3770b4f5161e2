"""Files of trained weights: where they are, how they are fetched, written and converted."""
