"""TFX's ExampleValidator, except that an anomaly stops the run."""
