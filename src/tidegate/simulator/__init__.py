"""Simulated providers: real wire formats, invented answers, settable latency and faults.

One folder per dialect, each with a `surface.py`, and a line in `surfaces.py`; everything else is the same for all of
them. For tests, benchmarks and the demo. Must not import the gateway: it stands where an upstream stands.
"""
