"""TFX's Evaluator with the metrics of YouTube-8M, and a blessing that minds the size limit."""
