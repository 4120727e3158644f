"""Teacher: what a model says of each video of the train split, for students to be trained towards."""
