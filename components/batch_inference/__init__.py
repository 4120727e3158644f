"""Predictions for whole data sets, made by many machines through Beam."""
