"""One module per measurement. Each takes the peers that run and gives rows: medians over rounds taken turn about."""
