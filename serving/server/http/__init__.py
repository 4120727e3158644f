"""The HTTP port: TensorFlow Serving's REST API, the Open Inference Protocol, probes and metrics."""
