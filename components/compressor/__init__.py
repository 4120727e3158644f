"""Compressor: a ladder of stored forms of one model, each with its bytes and its GAP."""
