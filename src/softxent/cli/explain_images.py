"""A real example for `softxent explain`: a row of data, a model's logits for it, and the model's weights as images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from softxent.cli.explain_arguments import Request
from softxent.errors import DataError, OptionError
from softxent.explain import Explanation, explain
from softxent.explain.images import Images

__all__ = ["explain_example"]


def explain_example(request: Request) -> tuple[Explanation, int, int]:
    """Return the derivation for one example, its row counted from 1, and the number of rows."""
    from softxent.data.labels import class_indices, label_name

    model, data, index = _digit(request) if request.model is None else _row_of_data(request, request.model)
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
        learning_rate=request.learning_rate,
        depth=request.depth,
        step=request.step,
        language=request.lang,
    )
    inputs = model.preprocessing.apply(features)
    dense = np.asarray(inputs.toarray() if hasattr(inputs, "toarray") else inputs, dtype=np.float64)[0]
    shown = np.asarray(features.toarray() if hasattr(features, "toarray") else features, dtype=np.float64)[0]
    weights = _weights(model)
    pictures = Images.of(shown, dense, weights, np.array(explanation.gradient))
    return explanation.with_images(pictures), index + 1, count


def _digit(request: Request) -> tuple[Any, Any, int]:
    """Return a model of the embedded digits, which is fitted here, the digits, and the index of the requested one."""
    from softxent.data.embedded import read_embedded
    from softxent.regression.training import train

    data = read_embedded("digits")
    if request.values:
        raise OptionError("--digits brings its own numbers; leave out the logits")
    # Digits are counted from 0, rows from 1; "-" stands for --digits without a number.
    digits = request.digits or ""
    if digits != "-" and not digits.isdecimal():
        raise OptionError(
            f"--digits must be followed by a number from 0 to {data.X.shape[0] - 1}, or none; got {digits!r}"
        )
    index = request.row - 1 if digits == "-" else int(digits)
    model = train(data, None, test_size=0.2, seed=0, C=1.0, max_iter=200, tol=1e-4, callback=None).model
    return model, data, index


def _row_of_data(request: Request, path: Path) -> tuple[Any, Any, int]:
    """Return a model from a file, the data that it is to explain a row of, and which row."""
    from softxent.data import load_like, refuse_ignored
    from softxent.regression.model_file import read_model

    model = read_model(path)
    if request.images is not None:
        return model, _images(request, request.images, model), request.row - 1
    if len(request.values) != 1:
        raise OptionError(f"--model {path} needs one file with rows to explain; --row says which of them")
    reading = {"--label": request.label, "--encoding": request.encoding}
    refuse_ignored(request.values, reading, table=model.feature_names is not None)
    data = load_like(request.values[0], model, label=request.label, encoding=request.encoding)
    return model, data, request.row - 1


def _images(request: Request, path: Path, model: Any) -> Any:
    from softxent.data import read_idx

    if request.values or request.labels is None:
        raise OptionError("IDX files come in pairs: give both --images and --labels, and no other file")
    data = read_idx(path, request.labels)
    if data.X.shape[1] != model.num_features:
        raise DataError(f"{path}: has {data.X.shape[1]} pixels an image, the model {model.num_features} features")
    return data


def _weights(model: Any) -> np.ndarray:
    """Return the weights (C, p); with two classes the file has one row, and the weights of the other class are 0."""
    coef = np.asarray(model.coef, dtype=np.float64)
    return np.vstack([np.zeros_like(coef), coef]) if coef.shape[0] == 1 else coef
