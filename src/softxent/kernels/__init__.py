"""The numerical kernels, one folder a kind of machine."""
