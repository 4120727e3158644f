"""Names of the files that the Pusher writes, for whoever reads them without importing TFX."""

RESULT_FILE = "pushed.json"
"""In the pushed_model artifact: see `components.pusher.push.push`."""

CARD_FILE = "assets.extra/MODEL_CARD.md"
"""In a pushed version; TensorFlow Serving leaves `assets.extra` alone."""
