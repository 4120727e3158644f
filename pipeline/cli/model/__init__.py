"""Verbs that measure, change and keep models."""
