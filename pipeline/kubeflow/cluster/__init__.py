"""What asks a cluster: Kubeflow Pipelines' API server and Kubernetes'."""
