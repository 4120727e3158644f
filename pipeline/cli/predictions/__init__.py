"""Verbs that let a model answer."""
