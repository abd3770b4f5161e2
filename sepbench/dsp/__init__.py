"""Signal processing in torch that plugins build on."""
