"""Recipe, DAG, runners and the command line."""
