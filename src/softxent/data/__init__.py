"""Readers for the files that people have: whatever the format, a Dataset comes out, or a DataError with one clear line.

dataset     the record that every reader returns          labels       which labels can be classes
table       CSV and Parquet                               arrays       NPZ and libsvm
idx         MNIST's format                                embedded     scikit-learn's own sets
"""

from softxent.data.dataset import Dataset
from softxent.data.idx import read_idx
from softxent.data.load import load

__all__ = ["Dataset", "load", "read_idx"]
