"""Names of the inputs of which RunReport has one a variant.

A number follows each. One key with many channels would be shorter, but Kubeflow Pipelines takes one producer a
key. A report itself says which variant it is of; the Trainers' runs are in the order of the recipe's variants.
"""

TRAINING = "training_"
AVERAGING = "averaging_"
COMPRESSION = "compression_"
