"""How a model is trained: the step, the loop around it, and the state to go on from."""
