"""The embedded server: TensorFlow Serving's gRPC API on one machine."""
