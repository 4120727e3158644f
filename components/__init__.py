"""The TFX components of this project, one folder each."""

import trainer  # noqa: F401  Before TensorFlow: it chooses the kernels.
