"""One call of one upstream, by the kind of what it answers."""
