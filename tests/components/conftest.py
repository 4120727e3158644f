"""Fixtures that several tests of components share."""

from tests.components.evaluator_world import evaluate, world

__all__ = ["evaluate", "world"]
