"""CheckpointAverager: the best single snapshot or average of snapshots of one variant."""
