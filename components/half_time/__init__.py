"""HalfTime: which variants are trained to the end, from what the first halves measured."""
