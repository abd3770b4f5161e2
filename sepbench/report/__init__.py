"""Tables and pictures made from stored scores."""
