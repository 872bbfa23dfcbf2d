"""load: the right reader for a file, by its ending."""

from __future__ import annotations

from pathlib import Path

from softxent.data.arrays import read_libsvm, read_npz
from softxent.data.dataset import Dataset
from softxent.data.embedded import EMBEDDED, read_embedded
from softxent.data.table import read_table
from softxent.errors import DataError

__all__ = ["load"]

TABLES = (".csv", ".tsv", ".parquet", ".pq")
LIBSVM = (".svm", ".libsvm", ".svmlight", ".txt")


def load(
    source: str,
    *,
    label: str | None = None,
    with_labels: bool = True,
    features: tuple[str, ...] | None = None,
    num_features: int | None = None,
    index_base: int | None = None,
    delimiter: str | None = None,
) -> Dataset:
    """Read a file, or one of scikit-learn's embedded sets.

    Args:
        source: an embedded set's name, or a file ending in .csv, .tsv (either may be .gz), .parquet, .npz, .svm,
            .libsvm or .txt (libsvm).
        label: the column of labels of a table; the key of the labels of an NPZ archive, y if not given.
        with_labels: False: labels are not wanted (and need not be there).
        features, num_features, index_base: what a model expects of new data; see the readers.
        delimiter: what separates a CSV's columns, where it cannot be guessed.

    Raises:
        DataError: one line that names the file, what is wrong with it and what to do.
    """
    path = Path(source)
    if source in EMBEDDED and not path.exists():
        return read_embedded(source)
    if path.is_dir():
        raise DataError(f"{path}: is a folder; give a file")
    if not path.exists():
        raise DataError(f"{path}: no such file; the embedded sets are {', '.join(EMBEDDED)}")
    if path.stat().st_size == 0:
        raise DataError(f"{path}: is empty")
    suffixes = [suffix.lower() for suffix in path.suffixes]
    packed = bool(suffixes) and suffixes[-1] in (".gz", ".bz2")
    kind = (suffixes[-2] if len(suffixes) > 1 else "") if packed else (suffixes[-1] if suffixes else "")
    if kind in TABLES:
        if with_labels and label is None:
            raise DataError(f"{path}: say which column holds the labels: --label COLUMN")
        return read_table(
            path,
            label=label if with_labels else None,
            features=features,
            num_features=num_features,
            delimiter="\t" if kind == ".tsv" and delimiter is None else delimiter,
        )
    if kind == ".npz":
        return read_npz(path, label, with_labels=with_labels)
    if kind in LIBSVM:
        return read_libsvm(path, num_features=num_features, index_base=index_base)
    idx = "idx1" in path.name or "idx3" in path.name or kind.endswith("-ubyte")
    hint = (
        "IDX files go by --images FILE --labels FILE" if idx else f"known are {', '.join((*TABLES, '.npz', *LIBSVM))}"
    )
    raise DataError(f"{path}: unknown kind of file {kind or path.name!r}; {hint}")
