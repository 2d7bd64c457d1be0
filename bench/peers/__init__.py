"""One module per program that is measured; each has a `PEER`."""
