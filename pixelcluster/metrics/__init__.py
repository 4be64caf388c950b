"""Scores of label maps: `matching` against classes over a data set, `regions` against human outlines."""
