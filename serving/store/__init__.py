"""The versions of a model in a directory or a bucket."""
