"""Served models: SavedModels, directories of versions, server and client. Nothing here imports TFX or Beam."""

import trainer  # noqa: F401  Before TensorFlow: it chooses the kernels.
