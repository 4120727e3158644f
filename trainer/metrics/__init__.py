"""How good a model is: scores of videos, GAP and the starter code's other metrics."""
