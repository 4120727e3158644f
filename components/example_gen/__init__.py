"""YouTube-8M files to validated Examples, split as in the paper, with a report of what was rejected."""
