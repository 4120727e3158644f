"""The configuration of a run: sections, node pools, loading and checking."""
