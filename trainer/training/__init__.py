"""The training of a model: the step, the loop around it, and the states from which a killed run goes on."""
