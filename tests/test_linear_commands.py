"""fastdl fit and fastdl predict, and the tables they read: text, NumPy, good and bad."""

import gzip
import json

import numpy as np
import pytest

import fastdl
from fastdl import FileError
from fastdl.cli import main
from fastdl.files.tables import Table

rng = np.random.default_rng(3)
X = rng.standard_normal((500, 3)).round(6)
Y = (X @ [1.0, -2.0, 0.5] + 3 + rng.laplace(size=500)).round(6)
S = rng.integers(0, 3, 500)
NAMES = ["a", "b", "c"]


def write(path, delimiter=",", end="\n", weights=False, quote=""):
    columns = [*X.T, Y, *([S] if weights else [])]
    names = [*NAMES, "price", *(["n"] if weights else [])]
    lines = [delimiter.join(quote + name + quote for name in names)]
    lines += [delimiter.join(repr(float(v)) for v in row) for row in zip(*columns)]
    text = (end.join(lines) + end).encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path


KINDS = [
    "t.csv",
    "crlf.csv",
    "semicolons.csv",
    "t.tsv",
    "t.txt.gz",
    "bom.csv",
    "blank.csv",
    "quoted.csv",
    "t.npy",
    "t.npz",
]


def table(tmp_path, kind):
    path = tmp_path / kind
    if kind == "t.npy":
        np.save(path, np.column_stack([X, Y]).astype(np.float64))
    elif kind == "t.npz":
        np.savez(path, X=X, y=Y)
    else:
        write(path, {"semicolons.csv": ";", "t.tsv": "\t"}.get(kind, ","), "\r\n" if kind == "crlf.csv" else "\n",
              quote='"' if kind == "quoted.csv" else "")  # fmt: skip
        if kind == "bom.csv":
            path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
        if kind == "blank.csv":
            path.write_bytes(path.read_bytes().replace(b"\n", b"\n\n", 5) + b"\n\n")
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_table_gives_the_same_model(tmp_path, kind, capsys):
    path, target = table(tmp_path, kind), tmp_path / "model.json"
    assert main(["fit", str(path), "-o", str(target), "--p", "1", "--seed", "5"]) == 0
    train = fastdl.split(500, seed=5).train
    want = fastdl.fit_lp(X[train], Y[train], 1.0)
    model = json.loads(target.read_text())
    assert np.allclose(model["w"], want.w, rtol=1e-9) and np.isclose(model["b"], want.b, rtol=1e-9)
    assert model["scores"]["training"]["rows"] == 350 and model["certificate"]["kind"] == "vertex"
    out = capsys.readouterr().out
    assert "validation" in out and "no model of these columns has a smaller one" in out

    values = tmp_path / "values.npy"
    assert main(["predict", str(target), str(path), "-o", str(values)]) == 0
    assert np.allclose(np.load(values), X @ want.w + want.b, rtol=1e-9)


def test_scores_are_those_of_the_parts(tmp_path):
    path, target = write(tmp_path / "t.csv", weights=True), tmp_path / "m.json"
    assert main(["fit", str(path), "-o", str(target), "--weights", "n", "--target", "price", "--p", "1.5"]) == 0
    model = json.loads(target.read_text())
    parts = fastdl.split(500, seed=0)
    for name, rows in (("training", parts.train), ("validation", parts.valid), ("test", parts.test)):
        r = np.abs(Y[rows] - X[rows] @ model["w"] - model["b"])
        assert np.isclose(model["scores"][name]["loss"], np.average(r**1.5, weights=S[rows]), rtol=1e-9)
        middle = np.average(Y[rows], weights=S[rows])
        fitted = 1 - (S[rows] * r**2).sum() / (S[rows] * (Y[rows] - middle) ** 2).sum()
        assert np.isclose(model["scores"][name]["R^2"], fitted, rtol=1e-9)
    fit = fastdl.fit_lp(X[parts.train], Y[parts.train], 1.5, sample_weight=S[parts.train])
    assert np.allclose(model["w"], fit.w, rtol=1e-6)


def test_columns_are_chosen_by_name(tmp_path):
    path, target = write(tmp_path / "t.csv"), tmp_path / "m.json"
    assert main(["fit", str(path), "-o", str(target), "--features", "c,a", "--target", "b"]) == 0
    model = json.loads(target.read_text())
    assert model["features"] == ["c", "a"] and model["target"] == "b" and len(model["w"]) == 2


def test_the_degree_is_found(tmp_path):
    x = np.linspace(-1, 1, 400)
    path, target, picture = tmp_path / "wave.npy", tmp_path / "m.json", tmp_path / "m.png"
    np.save(path, np.column_stack([x, 4 * x**3 - 3 * x + 0.01 * rng.standard_normal(400)]))
    assert main(["fit", str(path), "-o", str(target), "--degree", "auto", "--plot", str(picture)]) == 0
    assert json.loads(target.read_text())["degree"] >= 3
    assert picture.read_bytes()[:4] == b"\x89PNG"
    values = tmp_path / "v.npy"
    assert main(["predict", str(target), str(path), "-o", str(values)]) == 0
    assert np.abs(np.load(values) - (4 * x**3 - 3 * x)).max() < 0.02


def test_products_of_columns(tmp_path):
    path, target = tmp_path / "t.npy", tmp_path / "m.json"
    np.save(path, np.column_stack([X, X[:, 0] * X[:, 1] + 7 * X[:, 2] ** 2]))
    assert main(["fit", str(path), "-o", str(target), "--degree", "2", "--split", "1/0/0"]) == 0
    model = json.loads(target.read_text())
    assert len(model["w"]) == 9 and list(model["scores"]) == ["training"]
    assert model["scores"]["training"]["mean |r|"] < 1e-10


WRONG = [
    ("nothing", "t.csv", ["--target", "nix"], "has no column 'nix'; it has a, b, c, price"),
    ("nothing", "t.csv", ["--degree", "x"], "--degree must be a number"),
    ("nothing", "t.csv", ["--split", "70/20"], "--split must be three numbers"),
    ("nothing", "t.csv", ["--p", "0"], "--p must be above 0"),
    ("nothing", "t.csv", ["--features", "price"], "must differ"),
    ("nothing", "t.csv", ["--degree", "auto", "--split", "1/0/0"], "needs rows to validate on"),
    ("nothing", "t.csv", ["--method", "nix"], "method must be one of"),
    ("a,b\n1,2\n3\n", "t.csv", [], "t.csv at line 3: must have 2 fields, got 1"),
    ("a,b\n1,2\n\n3,x\n", "t.csv", [], "t.csv at line 4: b must be a number, got 'x'"),
    ("a,b\n1,2\n3,\n", "t.csv", [], "t.csv at line 3: b must be a number, got ''"),
    ("a,b\n1,2\n3,nan\n4,5\n", "t.csv", ["--split", "1/0/0"], "y must be finite, got nan"),
    ("1,2\n3,4\n", "t.csv", [], "at line 1: must begin with a line of column names"),
    ("a,a\n3,4\n", "t.csv", [], "at line 1: column names must be there and differ"),
    ("a,b\n", "t.csv", [], "holds no rows"),
    ("", "t.csv", [], "at line 1: must begin"),
    ("not one", "t.npy", [], "not a .npy file"),
    ("not one", "t.npz", [], "is no whole .npz file"),
    ("not one", "t.csv.gz", [], "at line 1: is no text"),
    ("a b", "t.xls", [], "a table must end in"),
]


@pytest.mark.parametrize(("content", "name", "options", "message"), WRONG)
def test_errors_say_what_and_where_and_leave_nothing(tmp_path, capsys, content, name, options, message):
    path = write(tmp_path / name) if content == "nothing" else tmp_path / name
    if content != "nothing":
        path.write_text(content)
    assert main(["fit", str(path), "-o", str(tmp_path / "m.json"), *options]) == 1
    assert message in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_files_are_not_replaced_unasked(tmp_path, capsys):
    path, target = write(tmp_path / "t.csv"), tmp_path / "m.json"
    target.write_text("mine")
    assert main(["fit", str(path), "-o", str(target)]) == 1
    assert "--overwrite" in capsys.readouterr().err and target.read_text() == "mine"
    assert main(["fit", str(path), "-o", str(path), "--overwrite"]) == 1
    assert "is the input itself" in capsys.readouterr().err
    assert main(["fit", str(path), "-o", str(target), "--overwrite"]) == 0


def test_predict_refuses_what_is_no_model_and_other_tables(tmp_path, capsys):
    path, target, values = write(tmp_path / "t.csv"), tmp_path / "m.json", tmp_path / "v.npy"
    target.write_text('{"kind": "another"}')
    assert main(["predict", str(target), str(path), "-o", str(values)]) == 1
    assert "is no model" in capsys.readouterr().err
    assert main(["fit", str(path), "-o", str(target), "--overwrite"]) == 0
    other = tmp_path / "other.csv"
    other.write_text("a,b\n1,2\n")
    assert main(["predict", str(target), str(other), "-o", str(values)]) == 1
    assert "lacks the columns c" in capsys.readouterr().err and not values.exists()


def test_tables_come_in_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr("fastdl.files.tables._ROWS", 64)
    for kind in KINDS:
        blocks = list(Table(table(tmp_path, kind)).blocks())
        assert len(blocks) > 1 and (np.concatenate(blocks) == np.column_stack([X, Y])).all(), kind


def test_an_npz_of_columns(tmp_path):
    path = tmp_path / "t.npz"
    np.savez(path, height=X[:, 0], y=Y, weight=S)
    assert Table(path).columns == ["height", "y", "weight"]
    assert main(["fit", str(path), "-o", str(tmp_path / "m.json")]) == 0
    model = json.loads((tmp_path / "m.json").read_text())
    assert model["features"] == ["height"] and model["target"] == "y"
    np.savez(path, X=X, y=Y[:5])
    with pytest.raises(FileError, match="columns \\(N,\\) of numbers, got"):
        Table(path)
