"""Write the output of `softxent predict`: for every row the label and one probability per class, as CSV or Parquet."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from softxent.data.dataset import Dataset
from softxent.data.labels import label_name
from softxent.errors import DataError
from softxent.files import replacing
from softxent.regression.model_file import Model

__all__ = ["write_predictions"]

CHUNK_ROWS = 8192


def write_predictions(model: Model, data: Dataset, out: Path | None) -> None:
    """Write the column prediction and, for each class, probability_LABEL, to a .csv or .parquet file or to stdout."""
    if out is None:
        _write(model, data, sys.stdout.buffer, parquet=False)
        sys.stdout.buffer.flush()
        return
    if out.suffix.lower() not in (".csv", ".parquet", ".pq"):
        raise DataError(f"{out}: predictions are written as .csv or .parquet; give --out such a name")
    with replacing(out) as file:
        _write(model, data, file, parquet=out.suffix.lower() != ".csv")


def _write(model: Model, data: Dataset, file: BinaryIO, *, parquet: bool) -> None:
    import pyarrow as pa
    from pyarrow import csv
    from pyarrow import parquet as pq

    from softxent import softmax

    labels = model.classes.tolist()
    if not parquet and model.classes.dtype.kind == "f":
        labels = [label_name(label) for label in labels]  # Arrow would write 1.0 as 1, and 1e16 with all zeros
    label_type = pa.array(labels).type
    names = [f"probability_{label_name(label)}" for label in labels]
    real = pa.float32() if model.coef.dtype == np.float32 and data.X.dtype != np.float64 else pa.float64()
    schema = pa.schema([("prediction", label_type), *((name, real) for name in names)])
    writer: Any = pq.ParquetWriter(file, schema) if parquet else csv.CSVWriter(file, schema)
    with writer:
        for start in range(0, data.X.shape[0], CHUNK_ROWS):
            logits = model.logits(data.X[start : start + CHUNK_ROWS])
            proba = softmax(logits, axis=1)
            columns = [pa.array([labels[k] for k in logits.argmax(axis=1).tolist()], label_type)]
            columns += [pa.array(np.ascontiguousarray(proba[:, k]), real) for k in range(len(labels))]
            writer.write_table(pa.table(columns, schema=schema))
