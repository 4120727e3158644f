"""TFX's StatisticsGen, except that a file whose statistics are kept is not counted again."""
