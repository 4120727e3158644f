"""Verbs from data to a trained and pushed ensemble on this machine, and what runs have left."""
