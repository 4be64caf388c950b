"""Variational Clustering: a VAE with mixture prior and posterior, for images and for pixels."""
