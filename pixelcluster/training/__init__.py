"""Learning: starts, the training loop, the student, and what a model folder holds."""
