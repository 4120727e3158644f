"""The configuration of a run: its sections, node pools, loading and checking. It imports no other room of pipeline."""
