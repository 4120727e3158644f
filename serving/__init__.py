"""What a served model is: SavedModel, model directory, server, client. Imports no TFX and no Beam."""

import trainer  # noqa: F401  Before TensorFlow: it chooses the kernels.
