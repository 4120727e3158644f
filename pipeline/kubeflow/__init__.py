"""Everything about running the pipeline on open-source Kubeflow Pipelines."""
