"""What a model is worth: scores of videos, GAP and the starter code's other metrics."""
