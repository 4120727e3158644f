"""Names of the inputs that RunReport has one of for each variant.

A number follows each name. One key with many channels would be shorter, but Kubeflow Pipelines takes one producer a
key. A report itself says which variant it is of; the Trainers' runs are in the order of the recipe's variants.
"""

TRAINING = "training_"
AVERAGING = "averaging_"
COMPRESSION = "compression_"
