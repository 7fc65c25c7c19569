"""`fastdl report FILE...`: a chapter a file, its counts right, what cannot be read named and left out."""

import re

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from fastdl import cli
from fastdl.errors import FastdlError, FileError
from fastdl.files import WavWriter
from fastdl.report import graphs_file, inspection, points_file, table_file
from tests.test_report_page import check_page


def wav(path, x, rate=8000, encoding="pcm16"):
    with open(path, "wb") as file:
        writer = WavWriter(file, rate, 1 if x.ndim == 1 else x.shape[1], encoding)
        writer.write(x)
        writer.finish()
    return path


def look(tmp_path, *files, **asked):
    page = tmp_path / "page.html"
    failed = inspection.build(page, files, **asked)
    text = page.read_text(encoding="utf-8")
    check_page(text)
    return text, failed


def cell(text, heading):
    """The number beside a heading of a row."""
    found = re.search(rf"<th scope=row[^>]*>{re.escape(heading)}</th><td[^>]*>([^<]*)<", text)
    assert found, heading
    return found[1]


def test_a_recording_is_counted_and_can_be_heard(tmp_path):
    x = (np.sin(np.arange(20_000) / 9) * 20_000).astype(np.int16)
    x[:3] = 32767
    x[5] = -32768
    text, failed = look(tmp_path, wav(tmp_path / "a.wav", x))
    assert not failed
    assert cell(text, "frames") == "20,000"
    assert cell(text, "samples at full scale or beyond, clipped") == "4"
    assert cell(text, "rate (Hz)") == "8,000"
    assert text.count("<audio controls") == 3
    assert "the same result to the bit" in text


def test_floats_that_are_not_finite_are_counted(tmp_path):
    x = np.zeros((5000, 2), np.float32)
    x[7, 0], x[8, 1], x[9, 0] = np.nan, np.inf, 2
    text, _ = look(tmp_path, wav(tmp_path / "a.wav", x, encoding="float32"))
    assert cell(text, "samples that are NaN or infinite, taken for 0") == "2"
    assert cell(text, "samples beyond full scale, clipped in int16") == "1"
    assert cell(text, "channels") == "2"


def test_silence_and_one_sample_are_no_error(tmp_path):
    for n in (1, 3000):
        text, failed = look(tmp_path, wav(tmp_path / "a.wav", np.zeros(n, np.int16)))
        assert not failed
        assert cell(text, "frames") == f"{n:,}"


def test_a_cloud_is_accounted_for(tmp_path):
    rng = np.random.default_rng(0)
    points = rng.uniform(-5, 5, (3000, 4)).astype("<f4")
    points[4, 0] = np.nan
    path = tmp_path / "scan.bin"
    points.tofile(path)
    text, failed = look(tmp_path, path)
    assert not failed
    assert "3,000 points of 4 columns" in text
    x = re.search(r"<th scope=row>x</th>(.*?)</tr>", text)[1]
    assert re.findall(r"<td[^>]*>([^<]*)", x)[-1] == "1"
    kept = re.search(r"Points kept and dropped.*?<tbody>(.*?)</tbody>", text, re.DOTALL)[1]
    for row in re.findall(r"<tr>(.*?)</tr>", kept):
        _, voxels, _, held, over, bad = (float(v.replace(",", "")) for v in re.findall(r">([\d.,]+)<", row))
        assert held + over + bad == 3000
        assert voxels <= held


def test_one_point_and_points_in_a_plane(tmp_path):
    for points in (np.ones((1, 4), "<f4"), np.array([[0, 0, 0, 0], [1, 1, 0, 1]] * 49, "<f4")):
        path = tmp_path / "p.bin"
        points.tofile(path)
        _, failed = look(tmp_path, path)
        assert not failed


def test_sizes_of_voxels_are_round():
    sizes = points_file.steps(np.random.default_rng(0).uniform(0, 97, (1000, 3)))
    assert sizes.tolist() == [0.5, 1, 2, 4, 8, 16]


def test_sequences_are_counted(tmp_path):
    path = tmp_path / "a.fa"
    path.write_text(">one first\nACGTNNacgt\n>two\n\n>three\n" + "AC" * 600 + "\n")
    text, failed = look(tmp_path, path)
    assert not failed
    assert cell(text, "letters") == "1,210"
    assert cell(text, "letters that are not A, C, G, T: rows of zeros") == "2"
    assert cell(text, "letters in lower case, read as upper case") == "4"
    assert cell(text, "whole windows of 1,000 letters") == "1"
    assert cell(text, "letters behind the last whole window of a sequence, padded") == "210"
    assert cell(text, "shortest") == "0"
    words = re.search(r"The most frequent words.*?<tbody>(.*?)</tbody>", text, re.DOTALL)[1]
    assert "ACAC" in words or "CACA" in words or "GTGT" in words


def test_reads_have_qualities(tmp_path):
    path = tmp_path / "a.fastq"
    path.write_text("".join(f"@r{k}\nACGTN\n+\nIIIII\n" for k in range(40)))
    text, failed = look(tmp_path, path)
    assert not failed
    assert "40 reads of 200 letters" in text
    assert "quality (Phred)" in text


def test_a_graph_is_counted(tmp_path):
    path = tmp_path / "edges.csv"
    path.write_text("source,target\n0,1\n1,2\n2,0\n4,5\n4,5\n6,6\n")
    text, failed = look(tmp_path, path)
    assert not failed
    assert cell(text, "edges") == "6"
    assert cell(text, "components, edges taken both ways") == "4"  # 3 is alone
    assert cell(text, "edges that are there before, kept (--coalesce merges them)") == "1"


def test_nodes_may_have_names(tmp_path):
    path = tmp_path / "edges.csv"
    path.write_text("source,target\nann,bob\nbob,cid\n")
    text, failed = look(tmp_path, path)
    assert not failed
    assert cell(text, "components, edges taken both ways") == "1"


def test_components_are_those_of_scipy():
    sparse = pytest.importorskip("scipy.sparse")
    rng = np.random.default_rng(1)
    for n, m in ((1, 0), (50, 30), (3000, 2500), (400, 4000)):
        edges = rng.integers(0, n, (m, 2))
        graph = graphs_file.fastdl.Graph.from_edges(edges, n)
        matrix = sparse.coo_matrix((np.ones(m), edges.T), (n, n))
        count, labels = sparse.csgraph.connected_components(matrix, directed=False)
        ours = graphs_file.components(graph)
        assert len(np.unique(ours)) == count
        assert len({*zip(ours.tolist(), labels.tolist())}) == count
    chain = np.column_stack([np.arange(20_000), np.arange(1, 20_001)])
    assert not graphs_file.components(graphs_file.fastdl.Graph.from_edges(chain)).any()


def table(path, rows=400):
    rng = np.random.default_rng(3)
    x = rng.normal(size=(rows, 2))
    y = 2 * x[:, 0] - x[:, 1] + 1
    lines = [f"{a:.6f},{b:.6f},{'no' if a < 0 else 'yes'},{v:.6f}" for (a, b), v in zip(x, y)]
    lines[3] = ",0.5,yes,1"
    path.write_text("a,b,city,price\n" + "\n".join(lines) + "\n")
    return path


def test_a_table_is_described_and_fitted(tmp_path):
    pytest.importorskip("pyarrow")
    text, failed = look(tmp_path, table(tmp_path / "t.csv"), target="price")
    assert not failed
    assert "400 rows of 4 columns, 3 of them numbers; 1 values are missing." in text
    assert "1 rows with a missing or infinite value are left out" in text
    weights = re.search(r"The weights</caption>.*?<tbody>(.*?)</tbody>", text, re.DOTALL)[1]
    values = [
        [float(v) for v in re.findall(r"<td[^>]*>([^<]*)", row)] for row in re.findall(r"<tr>(.*?)</tr>", weights)
    ]
    np.testing.assert_allclose(values, [[1] * 3, [2] * 3, [-1] * 3], atol=1e-4)
    assert "BinaryTarget" in text
    assert "looked at for the chosen degree alone" in text


def test_the_sample_of_a_table_is_even_and_bounded():
    sample = table_file.Sample(100)
    for start in range(0, 5000, 7):
        sample.add(np.arange(start, min(start + 7, 5000))[:, None])
    kept = sample.rows[:, 0]
    assert len(kept) <= 100
    assert sample.seen == 5000
    np.testing.assert_array_equal(np.diff(kept), sample.every)


def test_arrays_and_parquet_are_tables(tmp_path):
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    np.save(tmp_path / "a.npy", np.arange(60.0).reshape(20, 3))
    parquet.write_table(pa.table({"a": [1, 2, None], "t": ["x", None, "y"]}), tmp_path / "b.parquet")
    text, failed = look(tmp_path, tmp_path / "a.npy", tmp_path / "b.parquet")
    assert not failed
    assert "20 rows of 3 columns" in text
    assert "3 rows of 2 columns, 1 of them numbers; 2 values are missing." in text


def test_a_file_that_cannot_be_read_is_named_and_the_others_are_done(tmp_path, capsys):
    good = wav(tmp_path / "good.wav", np.arange(3000, dtype=np.int16))
    bad = tmp_path / "bad.wav"
    bad.write_bytes(b"RIFF")
    missing = tmp_path / "missing.fa"
    page = tmp_path / "p.html"
    code = cli.main(["report", str(bad), str(good), str(missing), "-o", str(page)])
    told = capsys.readouterr()
    assert code == 1
    assert str(bad) in told.err
    assert str(missing) in told.err
    assert "1 file; 2 failed" in told.out
    text = page.read_text(encoding="utf-8")
    check_page(text)
    assert "good.wav" in text
    assert "Files that could not be read" in text


def test_nothing_is_written_where_nothing_can_be_read(tmp_path, capsys):
    page = tmp_path / "p.html"
    assert cli.main(["report", str(tmp_path / "no.wav"), "-o", str(page)]) == 1
    assert "no.wav" in capsys.readouterr().err
    assert not page.exists()


def test_the_page_never_replaces_a_file_it_reads(tmp_path, capsys):
    path = tmp_path / "a.html"
    path.write_text("x")
    assert cli.main(["report", str(path), "-o", str(path)]) == 1
    assert path.read_text() == "x"
    assert "input itself" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("a.csv", b"a,b,c\n1,2,3\n", "table"),
        ("a.csv", b"x,y,z\n1,2,3\n", "points"),
        ("a.tsv", b"source\ttarget\n1\t2\n", "graph"),
        ("a.laz", b"", "points"),
        ("a.fa.gz", b"", "sequences"),
        ("a.FLAC", b"", "audio"),
        ("a.mtx", b"", "graph"),
    ],
)
def test_kinds_are_known_by_name_and_first_line(tmp_path, name, content, kind):
    path = tmp_path / name
    path.write_bytes(content)
    assert inspection.kind_of(path) == kind


def test_a_name_that_says_nothing_is_an_error_with_the_way_out(tmp_path):
    path = tmp_path / "data.xyzzy"
    path.write_bytes(b"1")
    with pytest.raises(FileError, match="--as audio"):
        inspection.kind_of(path)


def test_a_missing_target_names_the_columns(tmp_path):
    pytest.importorskip("pyarrow")
    with pytest.raises(FastdlError, match=r"no column 'cost'; it has a, b, city, price"):
        inspection.build(tmp_path / "p.html", [table(tmp_path / "t.csv")], target="cost")


def test_names_with_marks_of_html_are_only_text(tmp_path):
    path = wav(tmp_path / "a<b>&'\".wav", np.arange(2000, dtype=np.int16))
    text, _ = look(tmp_path, path)
    assert "<b>&'" not in text


def test_progress_goes_up_to_the_last_file(tmp_path):
    events = []
    files = [wav(tmp_path / f"{k}.wav", np.arange(2000, dtype=np.int16)) for k in range(2)]
    look(tmp_path, *files, progress=events.append)
    done = [event.done for event in events]
    assert done == sorted(done)
    assert done[-1] == 2
    assert {event.total for event in events} == {2}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("constant.csv", "a,b\n" + "1,2\n" * 50),
        ("one.csv", "a\n1\n"),
        ("missing.csv", "a,b\n" + ",\n" * 20),
        ("infinite.csv", "a,b\n" + "inf,1\n" * 3 + "".join(f"{k},{k * k}\n" for k in range(60))),
        ("huge.csv", "a,b\n" + "".join(f"{10**18 + k},{1e300 * (k % 7)}\n" for k in range(60))),
        ("names.csv", "größe,<b>\n" + "".join(f"{k},{k}\n" for k in range(30))),
        ("empty.fa", ">x\n\n>y\n\n"),
        ("protein.fa", ">p\nMKVLAAGIVGLLLAQWERTY*\n"),
        ("loop.edges", "5 5\n"),
        ("none.csv", "source,target\n"),
    ],
)
def test_odd_files_have_a_chapter(tmp_path, name, content):
    if name.endswith(".csv"):
        pytest.importorskip("pyarrow")
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    _, failed = look(tmp_path, path)
    assert not failed


def test_a_cloud_without_finite_points_is_described(tmp_path):
    path = tmp_path / "p.bin"
    np.full((30, 4), np.nan, "<f4").tofile(path)
    text, failed = look(tmp_path, path)
    assert not failed
    assert "No point has finite coordinates" in text


def test_every_error_names_its_file(tmp_path):
    path = tmp_path / "far.csv"
    path.write_text("source,target\n0,3000000000\n")
    with pytest.raises(FastdlError, match=r"far\.csv.*max_bytes"):
        inspection.build(tmp_path / "p.html", [path])
