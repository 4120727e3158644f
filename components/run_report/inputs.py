"""Names of the inputs that RunReport has one of for each variant.

A number follows each name. One key with many channels would be shorter, but Kubeflow Pipelines takes one producer a
key. They are in the order of the recipe's variants, and behind these in that of its students.
"""

TRAINING = "training_"
AVERAGING = "averaging_"
COMPRESSION = "compression_"
