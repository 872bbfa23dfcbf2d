"""The model file: what goes in comes out, and a damaged or foreign file is refused in one line."""

import json
import os
import stat

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from softxent import log_softmax
from softxent.data.dataset import Layout
from softxent.data.preprocessing import Preprocessing
from softxent.errors import DataError, ModelFileError
from softxent.files import replacing
from softxent.regression.model_file import Model, _digest, read_model, write_model

CLASSES = {
    "int": np.array([-3, 0, 2**40]),
    "float": np.array([0.0, 1.0, 1e300]),
    "str": np.array(["a b", "ä\n", "日本"]),
    "bool": np.array([False, True]),
}


def model(kind="str", dtype=np.float64, preprocessing="standardize"):
    """Return a model with random numbers."""
    rng = np.random.default_rng(3)
    classes = CLASSES[kind]
    rows = 1 if classes.size == 2 else classes.size
    table = preprocessing == "standardize"
    return Model(
        rng.normal(size=(rows, 4)).astype(dtype),
        rng.normal(size=rows).astype(dtype),
        classes,
        ("p", "q r", "ß", '"') if table else None,
        Preprocessing(preprocessing, rng.normal(size=4), rng.random(4) + 1) if table else Preprocessing(preprocessing),
        1 if preprocessing == "none" else None,
        Layout(("", "p", "q r", "ß", '"', "kind"), "kind", header=False, left_out=(("", "it has no name"),))
        if table
        else None,
    )


@pytest.mark.parametrize("kind", sorted(CLASSES))
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("preprocessing", ["standardize", "pixels", "none"])
def test_round_trip(tmp_path, kind, dtype, preprocessing):
    """Every number and name comes back, classes with their type, bit for bit."""
    before = model(kind, dtype, preprocessing)
    write_model(tmp_path / "m.safetensors", before)
    after = read_model(tmp_path / "m.safetensors")
    assert after.coef.dtype == dtype
    np.testing.assert_array_equal(after.coef, before.coef)
    np.testing.assert_array_equal(after.intercept, before.intercept)
    assert after.classes.tolist() == before.classes.tolist()
    assert after.classes.dtype.kind == before.classes.dtype.kind
    assert after.feature_names == before.feature_names
    assert after.index_base == before.index_base
    assert after.layout == before.layout
    assert after.preprocessing.kind == preprocessing
    X = np.arange(8, dtype=np.uint8).reshape(2, 4)
    np.testing.assert_array_equal(after.logits(X), before.logits(X))


def test_a_file_without_a_layout_is_read(tmp_path):
    """As the first ones of version 1 were written; the digest is over what there is."""
    path = tmp_path / "m.safetensors"
    write_model(path, model())
    with safe_open(path, framework="np") as file:
        metadata = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # safe_open has no iterator
    del metadata["layout"], metadata["sha256"]
    metadata["sha256"] = _digest(tensors, metadata)
    save_file(tensors, path, metadata)
    after = read_model(path)
    assert after.layout is None
    assert after.classes.tolist() == CLASSES["str"].tolist()


def test_two_classes_have_the_logits_zero_and_z(tmp_path):
    """A binary model's one vector gives two columns of logits."""
    binary = model("bool", preprocessing="none")
    X = np.ones((3, 4))
    z = X @ binary.coef[0] + binary.intercept[0]
    np.testing.assert_array_equal(binary.logits(X), np.column_stack([np.zeros(3), z]))
    assert log_softmax(binary.logits(X), axis=1).shape == (3, 2)


def test_the_file_is_safetensors_with_readable_metadata(tmp_path):
    """Anybody's safetensors reader opens it."""
    path = tmp_path / "m.safetensors"
    write_model(path, model())
    with safe_open(path, framework="np") as file:
        assert set(file.keys()) == {"coef", "intercept", "mean", "scale"}
        assert json.loads(file.metadata()["classes"]) == CLASSES["str"].tolist()
        assert file.metadata()["format"] == "softxent.SoftmaxRegression"


def test_every_truncation_is_refused(tmp_path):
    """A file cut anywhere is no model."""
    path = tmp_path / "m.safetensors"
    write_model(path, model())
    content = path.read_bytes()
    for length in [*range(0, 40), *range(40, len(content), 37), len(content) - 1]:
        path.write_bytes(content[:length])
        with pytest.raises(ModelFileError, match="safetensors"):
            read_model(path)


def test_every_flipped_byte_is_refused(tmp_path):
    """A changed byte, in the header or in a number, is found; blanks that pad the header aside."""
    path = tmp_path / "m.safetensors"
    write_model(path, model())
    content = path.read_bytes()
    for position in range(0, len(content), 5):
        if content[position] == ord(" "):
            continue
        damaged = bytearray(content)
        damaged[position] ^= 0x15
        path.write_bytes(damaged)
        with pytest.raises(ModelFileError, match="safetensors"):
            read_model(path)


def test_foreign_files_are_refused(tmp_path):
    """Another program's safetensors file, a newer version's, something else, nothing."""
    path = tmp_path / "m.safetensors"
    save_file({"coef": np.zeros((3, 4))}, path)
    with pytest.raises(ModelFileError, match="no model that softxent fit wrote"):
        read_model(path)
    save_file({"coef": np.zeros((3, 4))}, path, {"format": "softxent.SoftmaxRegression", "version": "9"})
    with pytest.raises(ModelFileError, match="has version '9'"):
        read_model(path)
    path.write_text("a,b\n1,2\n")
    with pytest.raises(ModelFileError, match="is no safetensors file"):
        read_model(path)
    with pytest.raises(ModelFileError, match="no such model file"):
        read_model(tmp_path / "none")
    with pytest.raises(ModelFileError, match="no such model file"):
        read_model(tmp_path)


def test_an_interrupted_write_leaves_the_old_file(tmp_path):
    """Until the new file is whole the old one stays, and nothing else is left behind."""
    path = tmp_path / "m.safetensors"
    path.write_bytes(b"old")

    def interrupted():
        with replacing(path) as file:
            file.write(b"new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["m.safetensors"]
    with replacing(path) as file:
        file.write(b"new")
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) & 0o400
    assert os.listdir(tmp_path) == ["m.safetensors"]
    with pytest.raises(DataError, match="cannot be written"), replacing(tmp_path / "none" / "m"):
        pass
