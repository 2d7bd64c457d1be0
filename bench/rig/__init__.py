"""What every measurement stands on: pinned processes, the upstreams, the load, and what /proc tells."""
