"""The fast mode of a trained model as a file that other programs run."""
