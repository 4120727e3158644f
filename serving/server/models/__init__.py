"""Versions of models: loading, choosing, batching, warming up."""
