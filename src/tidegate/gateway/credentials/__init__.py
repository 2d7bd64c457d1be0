"""What proves who calls, and what the gateway proves itself with: keys, signatures, access tokens."""
