"""fastdl fit and fastdl predict, and the tables they read: text, NumPy, good and bad."""

import gzip
import json

import numpy as np
import pytest

import fastdl
from fastdl import FileError
from fastdl.cli import main
from fastdl.files.table_model import TableModel
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
    ("a,b\n1,2\n3,\n", "t.csv", [], "t.csv at line 3: b must be finite (or choose --missing drop or mean), got nan"),
    (
        "a,b\n1,2\n3,nan\n4,5\n",
        "t.csv",
        ["--split", "1/0/0"],
        "t.csv at line 3: b must be finite (or choose --missing drop or mean), got nan",
    ),
    ("1,2\n3,4\n", "t.csv", [], "at line 1: must begin with a line of column names"),
    ("a,a\n3,4\n", "t.csv", [], "at line 1: column names must be there and differ"),
    ("a,b\n", "t.csv", [], "holds no rows"),
    ("", "t.csv", [], "at line 1: must begin"),
    ("not one", "t.npy", [], "not a .npy file"),
    ("not one", "t.npz", [], "is no whole .npz file"),
    ("not one", "t.csv.gz", [], "at line 1: is no text"),
    ("a b", "t.xls", [], "a table must end in"),
    ("id,2019\n1,2\n2,3\n", "t.csv", [], "--header yes takes these as names"),
    ("a,y\n" + "1,2\n" * 60 + "1_000,5\n", "t.csv", [], "t.csv at line 62: a must be a number, got '1_000'"),
    ("a,y\n1,2\n\n2,inf\n3,4\n", "t.csv", [], "t.csv at line 4: y must be finite, got inf"),
    ("a,y\n1,2\n,3\n3,4\n", "t.csv", [], "t.csv at line 3: a must be finite (or choose --missing"),
    ("a,y,n\n1,2,1\n2,3,-1\n", "t.csv", ["--weights", "n"], "line 3: n must be finite and not negative, got -1.0"),
    ("nothing", "t.csv", ["-o", "m.pkl"], "--output must end in .json"),
    ("nothing", "t.csv", ["--plot", "p.bmp"], "must end in .png or .svg or .pdf"),
    ("a,y\n" + "".join(f"id{k},{k}\n" for k in range(300)), "t.csv", [], "more than 256 different texts"),
]


def test_every_kind_of_column_and_cell(tmp_path, capsys):
    path, target, values = tmp_path / "t.csv", tmp_path / "m.json", tmp_path / "v.csv"
    city = np.array(["Oslo", "Rome", "Bern"])[rng.integers(0, 3, 400)]
    member = rng.integers(0, 2, 400).astype(bool)
    size = rng.uniform(1, 2, 400).round(3)
    y = 3 * size + 5 * (city == "Oslo") - 2 * (city == "Rome") + 7 * member + 1
    cells = [f"{c},{m},{v},2024-01-01,{t!r}" for c, m, v, t in zip(city, member, size, y.tolist())]
    path.write_text("city,member,size,day,y\n" + "\n".join(cells) + "\n")
    features = ["--features", "city,member,size"]
    assert main(["fit", str(path), "-o", str(target), *features]) == 0
    model = TableModel.read(target)
    assert model.categories == {"city": ["Bern", "Oslo", "Rome"]}
    assert np.allclose(model.w, [5, -2, 7, 3]) and np.isclose(model.b, 1)
    assert main(["predict", str(target), str(path), "-o", str(values)]) == 0
    head, *rest = values.read_text().splitlines()
    assert head == "predicted y" and np.allclose([float(v) for v in rest], y)
    pd, pa = pytest.importorskip("pandas"), pytest.importorskip("pyarrow")
    frame = pd.read_csv(path)
    for table in (frame, pa.Table.from_pandas(frame), path, {name: frame[name] for name in frame}):
        assert np.allclose(model.predict(table), y)
    with pytest.raises(fastdl.InputError, match=r"column 'city' must hold what it held in the fit .*got 'Paris'"):
        model.predict(frame.assign(city="Paris"))


@pytest.mark.parametrize("missing", ["drop", "mean"])
def test_missing_cells(tmp_path, capsys, missing):
    path, target = tmp_path / "t.csv", tmp_path / "m.json"
    path.write_text("a,y\n" + "".join(f"{'' if k % 10 == 3 else k},{2 * k}\n" for k in range(100)))
    assert main(["fit", str(path), "-o", str(target), "--missing", missing, "--split", "1/0/0"]) == 0
    model = TableModel.read(target)
    if missing == "drop":
        assert model.scores["training"]["rows"] == 90 and np.isclose(model.w[0], 2)
        assert "10 rows with missing values were left out" in capsys.readouterr().out
        assert np.isnan(model.predict({"a": [np.nan]})).all()
    else:
        there = [k for k in range(100) if k % 10 != 3]
        assert np.isclose(model.fill["a"], np.mean(there)) and model.scores["training"]["rows"] == 100
        assert np.isclose(model.predict({"a": [np.nan]}), model.predict({"a": [np.mean(there)]}))


def test_rows_of_weight_0_count_nowhere(tmp_path):
    s, y = np.ones(60), 3.0 * np.arange(60)
    train = fastdl.split(60, seed=0).train
    s[train[5]], y[train[5]] = 0, np.nan
    np.savez(tmp_path / "t.npz", X=np.arange(60.0)[:, None], y=y, weight=s)
    assert main(["fit", str(tmp_path / "t.npz"), "-o", str(tmp_path / "m.json"), "--degree", "2"]) == 0
    model = json.loads((tmp_path / "m.json").read_text(), parse_constant=lambda c: pytest.fail(c))
    assert model["scores"]["training"]["loss"] < 1e-20


def test_one_row_makes_json_without_nan(tmp_path):
    (tmp_path / "t.csv").write_text("a,y\n1,2\n")
    assert main(["fit", str(tmp_path / "t.csv"), "-o", str(tmp_path / "m.json")]) == 0
    json.loads((tmp_path / "m.json").read_text(), parse_constant=lambda c: pytest.fail(c))


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("a|y\n1|2\n2|4\n3|6\n", []),
        ("a;y\n1,0;2,0\n2,0;4,0\n3,0;6,0\n", ["--decimal", ","]),
        ("aXy\n1X2\n2X4\n3X6\n", ["--delimiter", "X"]),
        ("1\t2\n2\t4\n3\t6\n", ["--header", "no"]),
        ("2019,2020\n1,2\n2,4\n3,6\n", ["--header", "yes"]),
    ],
)
def test_dialects_of_text(tmp_path, text, options):
    (tmp_path / "t.csv").write_text(text)
    assert main(["fit", str(tmp_path / "t.csv"), "-o", str(tmp_path / "m.json"), "--split", "1/0/0", *options]) == 0
    assert np.allclose(TableModel.read(tmp_path / "m.json").w, 2)


def test_where_models_and_plots_are_written(tmp_path, capsys):
    path = write(tmp_path / "t.csv")
    (tmp_path / "folder").mkdir()
    assert main(["fit", str(path), "-o", str(tmp_path / "model")]) == 0
    assert main(["fit", str(path), "-o", str(tmp_path / "folder")]) == 0
    assert TableModel.read(tmp_path / "folder" / "t.json") == TableModel.read(tmp_path / "model")
    same = str(tmp_path / "same.png")
    assert main(["fit", str(path), "-o", same, "--plot", same]) == 1
    for name in ("p.npy", "p.csv", "p.parquet"):
        assert main(["predict", str(tmp_path / "model"), str(path), "-o", str(tmp_path / name)]) == 0
    values = np.load(tmp_path / "p.npy")
    parquet = pytest.importorskip("pyarrow.parquet")
    assert (parquet.read_table(tmp_path / "p.parquet")["predicted price"].to_numpy() == values).all()
    assert (np.loadtxt(tmp_path / "p.csv", skiprows=1) == values).all()
    new = tmp_path / "new.csv"
    new.write_text("a,b,c\nnan,1,2\n1,2,3\n")
    capsys.readouterr()
    assert main(["predict", str(tmp_path / "model"), str(new), "-o", str(tmp_path / "q.npy")]) == 0
    assert "row 0 (line 2)" in capsys.readouterr().out


def test_parquet_and_arrow_are_chunk_sources(tmp_path):
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    table = pa.table({**dict(zip(NAMES, X.T)), "price": Y, "city": ["x"] * 500})
    parquet.write_table(table, tmp_path / "t.parquet", row_group_size=64)
    with pa.OSFile(str(tmp_path / "t.arrow"), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table, max_chunksize=100)
    with pa.OSFile(str(tmp_path / "t.arrows"), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table, max_chunksize=100)
    write(tmp_path / "t.csv")
    want = fastdl.fit_lp(X, Y, 2.0)
    for name in ("t.parquet", "t.arrow", "t.arrows", "t.csv"):
        source = Table(tmp_path / name)
        fit = fastdl.fit_lp(source.rows(NAMES, "price"), p=2.0)
        assert fit.w.tobytes() == want.w.tobytes(), name
    with pytest.raises(FileError, match=r"city.* must be numeric"):
        list(Table(tmp_path / "t.parquet").chunks(["city"]))


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
        blocks = list(Table(table(tmp_path, kind)).chunks())
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


def test_a_model_nested_without_end(tmp_path):
    path = tmp_path / "m.json"
    path.write_text("[" * 100_000)
    from fastdl.files.table_model import TableModel

    with pytest.raises(fastdl.FileError, match="is no model"):
        TableModel.read(path)
