"""Benchmarks: methods run over a data set and scored; the tools only parse and print."""
