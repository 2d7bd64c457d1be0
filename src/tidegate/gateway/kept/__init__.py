"""What providers, and the gateway itself, keep for consumers: files, batches, responses; whose each is and where it lies."""
