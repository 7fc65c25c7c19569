"""fit and predict with the sections of a table on a local cluster of two processes: the bytes of one machine."""

import numpy as np
import pytest

from fastdl.cli import _table_sections, main
from fastdl.files.tables import Table
from tests.local_clusters import MARKS, count_parts, kill_a_worker

distributed = pytest.importorskip("distributed")
pa = pytest.importorskip("pyarrow")
pytestmark = MARKS
ROWS = 30_000


@pytest.fixture
def sections(monkeypatch):
    """Sections of some kilobytes; how many were taken in comes back, a number for each command."""
    monkeypatch.setattr(_table_sections, "_SIZE", 1 << 16)
    return count_parts(monkeypatch)


def columns(rows=ROWS):
    """Numbers, integers with gaps, text with quotes and commas, and what they sum up to."""
    rng = np.random.default_rng(0)
    x, k = rng.normal(size=rows), rng.integers(0, 99, rows).astype(float)
    city = rng.integers(0, 4, rows)
    y = 3 * x - 0.5 * k + city + rng.normal(size=rows)
    k[rng.integers(0, rows, 50)] = np.nan
    names = ["Oslo", "Rome, Italy", 'the "Big" one', "Bern"]
    # The fourth comes late, so that workers meet the texts in another order.
    return {"x": x, "k": k, "city": [names[c if i > rows // 2 else min(c, 2)] for i, c in enumerate(city)], "y": y}


def write_table(path, table):
    """A table in the format that the name ends in."""
    if path.suffix in (".csv", ".tsv"):
        mark = "," if path.suffix == ".csv" else "\t"
        lines = [mark.join(table)]
        for row in zip(*table.values()):
            fields = [f'"{v.replace(chr(34), 2 * chr(34))}"' if isinstance(v, str) else f"{v}" for v in row]
            lines.append(mark.join(fields).replace("nan", ""))
        path.write_text("\n".join(lines) + "\n")
        return path
    if path.suffix == ".npy":
        np.save(path, np.column_stack([table[name] for name in table if name != "city"]))
        return path
    arrow = pa.table({name: pa.array(column, from_pandas=True) for name, column in table.items()})
    if path.suffix == ".parquet":
        from pyarrow import parquet

        parquet.write_table(arrow, path, row_group_size=4000)
        return path
    with pa.ipc.new_file(path, arrow.schema) as writer:
        writer.write_table(arrow, max_chunksize=3000)
    return path


def both(tmp_path, address, command, *options):
    """A command here and on the cluster: whether both end alike, and the bytes of what they write."""
    written = []
    for name, where in (("one", []), ("many", ["--scheduler", address])):
        (tmp_path / name).mkdir(exist_ok=True)
        words = [str(tmp_path / name / w[1:]) if w[:1] == "@" else w for w in options]
        code = main([command, *words, *where])
        written.append((code, {p.name: p.read_bytes() for p in (tmp_path / name).iterdir()}))
    assert written[0] == written[1]
    return written[0]


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet", ".arrow", ".npy"])
def test_sections_give_the_bytes_of_one_machine(tmp_path, cluster, sections, suffix):
    table = write_table(tmp_path / f"t{suffix}", columns(200_000 if suffix == ".npy" else ROWS))
    target = ["--target", "x2"] if suffix == ".npy" else ["--target", "y"]
    fit = [str(table), "-o", "@m.json", *target, "--quiet", "--missing"]
    for missing in ("mean", "drop"):
        assert both(tmp_path, cluster.scheduler_address, "fit", *fit, missing, "--overwrite")[0] == 0
    for ending in (".npy", ".csv", ".parquet"):
        options = [str(tmp_path / "one" / "m.json"), str(table), "-o", f"@v{ending}", "--quiet"]
        code, written = both(tmp_path, cluster.scheduler_address, "predict", *options)
        assert code == 0
        assert written[f"v{ending}"]
    assert len(sections) == 5
    assert min(sections) >= 5


def test_sections_of_text_are_the_lines(tmp_path):
    table = columns(3000)
    for ending in ("\n", "\r\n"):
        path = write_table(tmp_path / "t.csv", table)
        path.write_bytes(path.read_bytes().replace(b"\n", ending.encode()))
        reader = Table(path)
        for size in (1, 100, 4096, 1 << 30):
            parts = [p for s in reader.sections(["x", "k"], size) for p in reader.parts(["x", "k"], s)]
            got = np.concatenate([np.column_stack([c.to_numpy(zero_copy_only=False) for c in p]) for p in parts])
            np.testing.assert_array_equal(got, np.column_stack([table["x"], table["k"]]))


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("1,2,oops\n", "line 7002: y must be a number, got 'oops'"),
        ("1,2\n", "line 7002: must have 3 fields, got 2"),
        ("1,inf,3\n", "line 7002: b must be finite, got inf"),
        ("1,,3\n", "line 7002: b must be finite (or choose --missing"),
        ('1,"2,3\n', "line 9002: must have 3 fields, got 2"),
    ],
)
def test_faults_are_told_as_on_one_machine(tmp_path, cluster, sections, capsys, fault, said):
    rng = np.random.default_rng(0)
    lines = [f"{a},{b},{c}\n" for a, b, c in rng.normal(size=(9000, 3)).tolist()]
    lines.insert(7000, fault)
    (tmp_path / "t.csv").write_text("a,b,y\n" + "".join(lines))
    code, written = both(tmp_path, cluster.scheduler_address, "fit", str(tmp_path / "t.csv"), "-o", "@m.json")
    told = capsys.readouterr().err.splitlines()
    assert code == 1 and not written
    assert len(set(told)) == 1
    assert said in told[0]


def test_lines_within_quotes(tmp_path, cluster, sections, capsys):
    rng = np.random.default_rng(0)
    rows = [f'{x!r},"two\nlines {k % 3}",{x + k % 3}' for k, x in enumerate(rng.normal(size=9000).tolist())]
    (tmp_path / "t.csv").write_text("x,city,y\n" + "\n".join(rows) + "\n")
    code, _ = both(tmp_path, cluster.scheduler_address, "fit", str(tmp_path / "t.csv"), "-o", "@m.json", "--quiet")
    told = capsys.readouterr().err.splitlines()
    assert code == 0 or len(set(told)) == 1


def test_what_has_no_sections_is_done_by_one_worker(tmp_path, cluster, sections):
    table = columns(5000)
    numbers = {name: np.nan_to_num(table[name]) for name in ("x", "k", "y")}
    np.savez(tmp_path / "t.npz", **numbers)
    arrow = pa.table(numbers)
    with pa.ipc.new_stream(tmp_path / "t.arrows", arrow.schema) as writer:
        writer.write_table(arrow)
    for name in ("t.npz", "t.arrows"):
        options = [str(tmp_path / name), "-o", "@m.json", "--target", "y", "--quiet", "--overwrite"]
        assert both(tmp_path, cluster.scheduler_address, "fit", *options)[0] == 0
    assert not sections


@pytest.mark.parametrize("command", ["fit", "predict"])
def test_a_worker_killed_among_sections(tmp_path, sections, monkeypatch, command):
    table = write_table(tmp_path / "t.csv", columns(100_000))
    model = str(tmp_path / "m.json")
    assert main(["fit", str(table), "-o", model, "--target", "y", "--missing", "drop", "--quiet"]) == 0
    words = [model, str(table)] if command == "predict" else [str(table), "--target", "y", "--missing", "mean"]
    killed = kill_a_worker(monkeypatch, lambda: bool(sections) and sections[0] >= 5)
    target = "@v.npy" if command == "predict" else "@m.json"
    assert both(tmp_path, "local", command, *words, "-o", target, "--quiet")[0] == 0
    assert killed
    assert sections[0] > 50
