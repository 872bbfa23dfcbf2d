"""load: choose the reader for a file by its ending."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from softxent.data.arrays import read_libsvm, read_npz
from softxent.data.dataset import Dataset, Layout
from softxent.data.embedded import EMBEDDED, read_embedded
from softxent.data.table import read_table
from softxent.errors import DataError

__all__ = ["load", "load_like", "refuse_ignored"]

TABLES = (".csv", ".tsv", ".parquet", ".pq")
LIBSVM = (".svm", ".libsvm", ".svmlight", ".txt")


class Like(Protocol):
    """The training data or a model, which new data must match."""

    @property
    def num_features(self) -> int:
        """The number of features."""

    @property
    def feature_names(self) -> tuple[str, ...] | None:
        """Their names, or None."""

    @property
    def index_base(self) -> int | None:
        """The index of a sparse file's first column, or None."""

    @property
    def layout(self) -> Layout | None:
        """The columns of a table's file, or None."""


def load(
    source: str,
    *,
    label: str | None = None,
    with_labels: bool = True,
    features: tuple[str, ...] | None = None,
    num_features: int | None = None,
    index_base: int | None = None,
    delimiter: str | None = None,
    encoding: str | None = None,
    header: bool = True,
    layouts: Sequence[tuple[str, ...]] = (),
    keep: Sequence[str] = (),
    drop: Sequence[str] = (),
) -> Dataset:
    """Read a file, or one of scikit-learn's embedded sets.

    Args:
        source: an embedded set's name, or a file ending in .csv, .tsv (either may be .gz), .parquet, .npz, .svm,
            .libsvm or .txt (libsvm; a table if the name of a label or of features is given).
        label: the column of labels of a table; the key of the labels of an NPZ archive, y if not given.
        with_labels: False: labels are not wanted and need not exist.
        features, num_features, index_base, layouts: a model's requirements for new data; see the readers.
        delimiter: the separator of a CSV's columns, if it cannot be guessed.
        encoding: of a CSV file, if it is not UTF-8 and has no byte order mark.
        header: whether a CSV file begins with a line of names.
        keep, drop: columns of a table that are features, or not, whatever they look like.

    Raises:
        DataError: one line that names the file and the problem, and says what to do.
    """
    path = Path(source)
    if source in EMBEDDED and not path.exists():
        return _in_order(read_embedded(source), features)
    if path.is_dir():
        raise DataError(f"{path}: is a folder; give a file")
    if not path.exists():
        raise DataError(f"{path}: no such file; the embedded sets are {', '.join(EMBEDDED)}")
    if not path.is_file():
        raise DataError(f"{path}: is a pipe or a device; write it to a file first, for it is read twice")
    if path.stat().st_size == 0:
        raise DataError(f"{path}: is empty")
    kind = _kind(path)
    # Excel's "Unicode text" is a table, too.
    if kind in TABLES or (kind == ".txt" and (label is not None or features is not None)):
        if with_labels and label is None:
            raise DataError(f"{path}: say which column holds the labels: --label COLUMN")
        return read_table(
            path,
            parquet=kind in (".parquet", ".pq"),
            label=label if with_labels else None,
            features=features,
            num_features=num_features,
            delimiter="\t" if kind == ".tsv" and delimiter is None else delimiter,
            encoding=encoding,
            header=header,
            layouts=layouts,
            keep=keep,
            drop=drop,
        )
    for option, given in (("--keep", keep), ("--drop", drop)):
        if given:
            raise DataError(f"{path}: {option} {given[0]!r}: only a table has columns with names")
    if kind == ".npz":
        return read_npz(path, label, with_labels=with_labels)
    if kind in LIBSVM:
        if index_base is None and (features is not None or num_features is not None):
            raise DataError(
                f"{path}: a libsvm file has indices, and the data trained on had none; give a table or an .npz file"
            )
        return read_libsvm(path, num_features=num_features, index_base=index_base, with_labels=with_labels)
    idx = "idx1" in path.name or "idx3" in path.name or kind.endswith("-ubyte")
    hint = (
        "IDX files go by --images FILE --labels FILE" if idx else f"known are {', '.join((*TABLES, '.npz', *LIBSVM))}"
    )
    raise DataError(f"{path}: unknown kind of file {kind or path.name!r}; {hint}")


def _kind(path: Path) -> str:
    """Return the ending that says what a file is."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    packed = bool(suffixes) and suffixes[-1] in (".gz", ".bz2")
    return (suffixes[-2] if len(suffixes) > 1 else "") if packed else (suffixes[-1] if suffixes else "")


# What each option of reading belongs to.
BELONGS = {
    "--label": "a table or an .npz file",
    "--keep": "a table with names of columns",
    "--drop": "a table with names of columns",
    "--delimiter": "a CSV file",
    "--encoding": "a CSV file",
    "--no-header": "a CSV file",
}


def refuse_ignored(sources: Sequence[str | None], options: Mapping[str, object], *, table: bool) -> None:
    """Refuse an option that none of the sources has a use for.

    Args:
        sources: files and embedded sets; None: a pair of IDX files.
        options: what is given, by the option's name; what is empty is not.
        table: whether a .txt file is a table.
    """
    used = {option for source in sources for option in _used(source, table=table)}
    for option, value in options.items():
        if value and option not in used:
            what = " and ".join(dict.fromkeys(source or "IDX files" for source in sources))
            raise DataError(f"{option} belongs to {BELONGS[option]}; leave it out with {what}")


def _used(source: str | None, *, table: bool) -> tuple[str, ...]:
    if source is None or (source in EMBEDDED and not Path(source).exists()):
        return ()
    kind = _kind(Path(source))
    if kind in (".parquet", ".pq"):
        return ("--label", "--keep", "--drop")
    if kind in TABLES or (kind == ".txt" and table):
        return tuple(BELONGS)
    if kind == ".npz":
        return ("--label",)
    return () if kind in LIBSVM else tuple(BELONGS)  # what is no file of any kind is refused as that


def load_like(source: str, like: Like, *, header: bool | None = None, **options: Any) -> Dataset:
    """Read a file that must match the training data or a model: columns by name, or by their position in its file.

    Args:
        source: as in load.
        like: the training data or the model.
        header: whether a table begins with a line of names; None: as in the training file.
        options: the other arguments of load.
    """
    layout = like.layout
    layouts: tuple[tuple[str, ...], ...] = ()
    if like.feature_names is not None:
        layouts = (like.feature_names,)
        if layout is not None:
            without = tuple(name for name in layout.columns if name != layout.label)
            layouts = (layout.columns, without, like.feature_names)
    return load(
        source,
        features=like.feature_names,
        num_features=None if like.feature_names is not None else like.num_features,
        index_base=like.index_base,
        header=(layout is None or layout.header) if header is None else header,
        layouts=layouts,
        **options,
    )


def _in_order(data: Dataset, features: tuple[str, ...] | None) -> Dataset:
    """Return the data with only these features, in this order."""
    names = data.feature_names or ()
    if features is None or features == names:
        return data
    missing = next((name for name in features if name not in names), None)
    if missing is not None:
        raise DataError(
            f"{data.name}: has no column {missing!r}, which the model needs; it has {', '.join(names[:20])}"
        )
    X = data.X[:, [names.index(name) for name in features]]
    return Dataset(data.name, X, data.y, features)
