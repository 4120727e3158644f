"""A model as a SavedModel: signatures, codecs of its tensors, card, class names."""
