"""A fitted model in a safetensors file: numbers as tensors, names as JSON, no pickle.

    tensors    coef (K, p) and intercept (K,), K the number of classes, or 1 with two; mean (p,) and scale (p,) if the
               features are standardised
    metadata   format, version, classes (JSON), class_kind, features (JSON or null), preprocessing, index_base, layout
               (JSON: the columns of the training table, its label, whether it has a line of names, and the columns
               that were left out), sha256

The digest covers everything else, so that a damaged file is refused as a whole.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from softxent.data.dataset import Layout
from softxent.data.preprocessing import Preprocessing
from softxent.errors import ModelFileError
from softxent.files import replacing

__all__ = ["Model", "read_model", "write_model"]

FORMAT = "softxent.SoftmaxRegression"
VERSION = "1"
CLASS_KINDS = {"b": "bool", "i": "int", "u": "int", "f": "float", "U": "str"}
KIND_TYPES: dict[str, type] = {"bool": bool, "int": int, "float": float, "str": str}


@dataclass(frozen=True, slots=True)
class Model:
    """A fitted model, as predict needs it.

    Attributes:
        coef: (K, p) float32 or float64; K = C, or 1 with two classes.
        intercept: (K,).
        classes: (C,) sorted labels: integers, floats, bools or strings.
        feature_names: p names or None.
        preprocessing: applied to features first.
        index_base: for a model of a sparse file, the index of its first column, 0 or 1; None otherwise.
        layout: the columns of the training table; None for other formats, and in old model files.
    """

    coef: np.ndarray
    intercept: np.ndarray
    classes: np.ndarray
    feature_names: tuple[str, ...] | None
    preprocessing: Preprocessing
    index_base: int | None = None
    layout: Layout | None = None

    @property
    def num_features(self) -> int:
        """The number of features that the model was trained on."""
        return int(self.coef.shape[1])

    def logits(self, X: Any) -> np.ndarray:
        """Return the logits (n, C) of raw features X; with two classes they are (0, w·x + b)."""
        logits: np.ndarray = self.preprocessing.apply(X) @ self.coef.T + self.intercept
        if logits.shape[1] == 1:
            logits = np.column_stack([np.zeros_like(logits), logits])
        return logits


def _digest(tensors: dict[str, np.ndarray], metadata: dict[str, str]) -> str:
    digest = hashlib.sha256(json.dumps(metadata, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype.str} {tensor.shape}".encode())
        digest.update(np.ascontiguousarray(tensor).tobytes())
    return digest.hexdigest()


def write_model(path: Path, model: Model) -> None:
    """Write the model as a whole: the file at path is always the old one or the complete new one."""
    from safetensors.numpy import save

    tensors = {"coef": np.ascontiguousarray(model.coef), "intercept": np.ascontiguousarray(model.intercept)}
    if model.preprocessing.mean is not None and model.preprocessing.scale is not None:
        tensors |= {"mean": model.preprocessing.mean, "scale": model.preprocessing.scale}
    metadata = {
        "format": FORMAT,
        "version": VERSION,
        "classes": json.dumps(model.classes.tolist(), ensure_ascii=False),
        "class_kind": CLASS_KINDS[model.classes.dtype.kind],
        "features": json.dumps(model.feature_names, ensure_ascii=False),
        "preprocessing": model.preprocessing.kind,
        "index_base": json.dumps(model.index_base),
        "layout": json.dumps(None if model.layout is None else asdict(model.layout), ensure_ascii=False),
    }
    metadata["sha256"] = _digest(tensors, metadata)
    with replacing(path) as file:
        file.write(save(tensors, metadata))


def read_model(path: Path) -> Model:
    """Read a model that write_model wrote.

    Raises:
        ModelFileError: the file does not exist, is no safetensors file, is not softxent's, is of another version of
        the format, or is damaged.
    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise ModelFileError(f"{path}: no such model file; softxent fit … --out {path} writes one")
    try:
        with safe_open(path, framework="np") as file:
            metadata: dict[str, str] = dict(file.metadata() or {})
            if metadata.get("format") == FORMAT:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # safe_open has no iterator
    except (SafetensorError, OSError, ValueError, TypeError, KeyError) as error:
        raise ModelFileError(f"{path}: is no safetensors file, or damaged ({error}); train the model again") from error
    if metadata.get("format") != FORMAT:
        raise ModelFileError(f"{path}: is a safetensors file, but no model that softxent fit wrote")
    if metadata.get("version") != VERSION:
        raise ModelFileError(
            f"{path}: has version {metadata.get('version')!r} of the format; this softxent reads version {VERSION}. "
            "Use the softxent that wrote it, or train the model again"
        )
    digest = metadata.pop("sha256", None)
    if digest != _digest(tensors, metadata):
        raise ModelFileError(f"{path}: is damaged: its contents do not match its digest; train the model again")
    try:
        return _model(tensors, metadata)
    except (KeyError, ValueError, TypeError) as error:
        raise ModelFileError(f"{path}: is no complete model ({error}); train it again") from error


def _model(tensors: dict[str, np.ndarray], metadata: dict[str, str]) -> Model:
    kind = KIND_TYPES[metadata["class_kind"]]
    classes: np.ndarray = np.array(json.loads(metadata["classes"]), dtype=np.str_ if kind is str else kind)
    names = json.loads(metadata["features"])
    coef, intercept = tensors["coef"], tensors["intercept"]
    rows = 1 if classes.size == 2 else classes.size
    if coef.ndim != 2 or coef.shape[0] != rows or intercept.shape != (rows,) or classes.size < 2:
        raise ValueError(f"coef has shape {coef.shape}, intercept {intercept.shape}, with {classes.size} classes")
    p = coef.shape[1]
    mean, scale = tensors.get("mean"), tensors.get("scale")
    preprocessing = Preprocessing(metadata["preprocessing"], mean, scale)
    if preprocessing.kind not in ("none", "pixels", "standardize"):
        raise ValueError(f"unknown preprocessing {preprocessing.kind!r}")
    if preprocessing.kind == "standardize" and not (
        mean is not None and scale is not None and mean.shape == scale.shape == (p,)
    ):
        raise ValueError("the features' mean and scale are missing or of another length")
    if names is not None and len(names) != p:
        raise ValueError(f"{len(names)} feature names for {p} features")
    return Model(
        coef,
        intercept,
        classes,
        tuple(names) if names else None,
        preprocessing,
        json.loads(metadata["index_base"]),
        _layout(json.loads(metadata.get("layout", "null"))),
    )


def _layout(fields: dict[str, Any] | None) -> Layout | None:
    if fields is None:
        return None
    left_out = tuple((str(name), str(reason)) for name, reason in fields["left_out"])
    return Layout(tuple(map(str, fields["columns"])), fields["label"], bool(fields["header"]), left_out)
