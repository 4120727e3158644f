"""Names of the files that the Pusher writes, for whoever reads them without importing TFX."""

RESULT_FILE = "pushed.json"
"""Name of a file in the pushed_model artifact; see `components.pusher.report.PushResult`."""

CARD_FILE = "assets.extra/MODEL_CARD.md"
"""Path of the model card in a pushed version; TensorFlow Serving leaves `assets.extra` alone."""

LITERT_FILE = "assets.extra/yt8m.tflite"
"""Path of the LiteRT file in a pushed version, where the recipe asks for one: what a device downloads."""

REFERENCE_FILE = "assets.extra/reference.json"
"""Path, in a pushed version, of what later videos and predictions are compared with; see `reference`."""
