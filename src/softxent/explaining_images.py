"""One real example for `softxent explain`: a row of data, a model's logits for it, and what the network looks at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from softxent.errors import DataError, OptionError
from softxent.explain import Explanation, explain
from softxent.explain.images import Images

__all__ = ["explain_example"]


def explain_example(
    values: list[str],
    model_path: Path | None,
    digit: str | None,
    row: int,
    label_column: str | None,
    images: Path | None,
    labels: Path | None,
    *,
    encoding: str | None,
    learning_rate: float,
    depth: int,
    step: str | None,
    language: str,
) -> tuple[Explanation, int, int]:
    """Return the derivation for one example, its row counted from 1, and how many rows there are.

    Args:
        values: the file with rows to explain, where there is a model.
        model_path: a model file, or None for a model of the embedded digits, fitted here.
        digit: which of the embedded digits, counted from 0; "-" for the one that row counts from 1.
        row: which row of the file, counted from 1.
        label_column: the file's column of labels.
        images, labels: a pair of IDX files in place of values.
        encoding: the file's, where it is not UTF-8 and has no byte order mark.
        learning_rate, depth, step, language: as in explain.
    """
    from softxent.data import load_like
    from softxent.data.labels import class_indices, label_name
    from softxent.model_file import read_model

    if model_path is not None:
        model = read_model(model_path)
        if images is None and len(values) != 1:
            raise OptionError(f"--model {model_path} needs one file with rows to explain; --row says which of them")
        if images is not None:
            data = _images(images, labels, values, model)
        else:
            data = load_like(values[0], model, label=label_column, encoding=encoding)
        index = row - 1
    else:
        from softxent.data.embedded import read_embedded
        from softxent.training import train

        data = read_embedded("digits")
        if values:
            raise OptionError("--digits brings its own numbers; leave out the logits")
        index = row - 1 if digit in (None, "-") else int(str(digit))
        model = train(data, None, test_size=0.2, seed=0, C=1.0, max_iter=200, tol=1e-4, callback=None).model
    count = data.X.shape[0]
    if not 0 <= index < count:
        raise DataError(f"row {index + 1} does not exist; {data.name} has {count} rows")
    if data.y is None:
        raise DataError(f"{data.name}: has no labels; name their column with --label")
    names = [label_name(label) for label in model.classes.tolist()]
    true = int(class_indices(f"{data.name}, row {index + 1}", data.y[index : index + 1], model.classes)[0])
    features = data.X[index : index + 1]
    explanation = explain(
        np.asarray(model.logits(features), dtype=np.float64)[0],
        true,
        names=names,
        learning_rate=learning_rate,
        depth=depth,
        step=step,
        language=language,
    )
    inputs = model.preprocessing.apply(features)
    dense = np.asarray(inputs.toarray() if hasattr(inputs, "toarray") else inputs, dtype=np.float64)[0]
    shown = np.asarray(features.toarray() if hasattr(features, "toarray") else features, dtype=np.float64)[0]
    weights = _weights(model)
    pictures = Images.of(shown, dense, weights, np.array(explanation.gradient))
    return explanation.with_images(pictures), index + 1, count


def _images(images: Path, labels: Path | None, values: list[str], model: Any) -> Any:
    from softxent.data import read_idx

    if values or labels is None:
        raise OptionError("IDX files come in pairs: give both --images and --labels, and no other file")
    data = read_idx(images, labels)
    if data.X.shape[1] != model.num_features:
        raise DataError(f"{images}: has {data.X.shape[1]} pixels an image, the model {model.num_features} features")
    return data


def _weights(model: Any) -> np.ndarray:
    """Return (C, p); with two classes the file has one row, and the other's weights are 0."""
    coef = np.asarray(model.coef, dtype=np.float64)
    return np.vstack([np.zeros_like(coef), coef]) if coef.shape[0] == 1 else coef
