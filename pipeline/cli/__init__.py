"""The verbs of the `yt8m` command, one module each."""
