"""RunReport: what one run measured and did, as one JSON object and one Markdown page."""
