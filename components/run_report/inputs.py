"""Names of the inputs of which RunReport has one a variant.

A number follows each. One key with many channels would be shorter, but Kubeflow Pipelines takes one producer a
key; the report itself says which variant it is of.
"""

AVERAGING = "averaging_"
COMPRESSION = "compression_"
