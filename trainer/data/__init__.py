"""YouTube-8M records: read, checked, made, and turned into batches."""
