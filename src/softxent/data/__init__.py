"""Readers for common file formats: each returns a Dataset, or raises a DataError with one clear line.

dataset     the record that every reader returns          labels       labels as classes, and their names
table       the columns of a table that are features      row_numbers  columns that only number the rows
delimited   CSV                                           parquet      Parquet
values      Arrow columns as numbers and labels           arrays       NPZ and libsvm
idx         MNIST's format                                embedded     scikit-learn's own sets
"""

from softxent.data.dataset import Dataset
from softxent.data.idx import read_idx
from softxent.data.load import load, load_like, refuse_ignored

__all__ = ["Dataset", "load", "load_like", "read_idx", "refuse_ignored"]
