"""StudentTrainer: the training of a variant towards its labels and what a teacher says."""
