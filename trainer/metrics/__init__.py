"""The measurement of models: scores of videos, GAP and the starter code's other metrics."""
