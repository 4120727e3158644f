"""RunReport: what one run measured and did, as one JSON object, one HTML page and one Markdown page."""
