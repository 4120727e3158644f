"""What TFX's own Trainer runs for one variant."""
