"""Simulated providers: real wire formats, invented answers, settable latency and faults.

For tests, benchmarks and the demo. Must not import the gateway: it stands where an upstream stands.
"""
