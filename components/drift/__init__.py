"""How the videos of the newest span differ from those that the served model was trained on."""
