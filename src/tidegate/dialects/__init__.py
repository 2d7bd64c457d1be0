"""One module per wire format: requests, answers, stream events, errors and usage. Nothing else knows a wire format."""
