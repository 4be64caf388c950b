"""Inference: Langevin on the latent field, Gibbs on the label map, persistent chains."""
