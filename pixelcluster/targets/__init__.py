"""Target stacks: what the generator has to explain, image -> normalised channels on the label grid."""
