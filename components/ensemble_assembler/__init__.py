"""EnsembleAssembler: the best weighted combination of models that fits into the size limit."""
