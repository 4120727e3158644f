"""The schema of the summaries, which ImportSchemaGen brings into the pipeline."""
