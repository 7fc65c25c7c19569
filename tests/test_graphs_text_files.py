"""Edges in text: separators, headings, comments and quotes as other programs write them, and lines that are refused."""

import gzip

import numpy as np
import pytest

import fastdl
from tests.graphs_edge_lists import listed

TEXTS = {
    "target first": ("target,source\n1,0\n2,0\n", [[0, 1], [0, 2]], []),
    "pandas index": (",source,target\n0,5,6\n1,6,7\n", [[5, 6], [6, 7]], []),
    "weight first": ("weight,source,target\n0.5,1,2\n", [[1, 2]], [0.5]),
    "quoted": ('"from","to"\n"1","2"\n"3","4"\n', [[1, 2], [3, 4]], []),
    "R": ('"","from","to","weight"\n"1",3,4,0.25\n"2",4,3,1e-3\n', [[3, 4], [4, 3]], [0.25, 0.001]),
    "whole floats": ("0.0,1.0\n2.0,3.0\n1e3,7\n", [[0, 1], [2, 3], [1000, 7]], []),
    "semicolons": ("src;dst;w\n1;2;3\n", [[1, 2]], [3]),
    "bars": ("1|2\n3|4\n", [[1, 2], [3, 4]], []),
    "blanks": ("  1   2 \n\t3\t4\n\n", [[1, 2], [3, 4]], []),
    "spaces after commas": ("source, target\n1, 2\n", [[1, 2]], []),
    "time stamps": ("src,dst,time,rating\n1,2,2020-01-01,5\n", [[1, 2]], []),
    "SNAP": ("# Nodes: 3 Edges: 2\n# FromNodeId\tToNodeId\n0\t1\n1\t2\n", [[0, 1], [1, 2]], []),
    "BOM": ("\ufeffsource,target\n1,2\n", [[1, 2]], []),
    "carriage returns": ("source,target\r1,2\r3,4\r", [[1, 2], [3, 4]], []),
    "Windows": ("source,target\r\n1,2\r\n3,4", [[1, 2], [3, 4]], []),
    "unknown heading": ("a,b\n1,2\n", [[1, 2]], []),
    "heading without an end": ("source,target", [], []),
    "Neptune": ("~id,~from,~to\ne1,1,2\n", [[1, 2]], []),
    "negative weights": ("1,2,-0.1\n2,3,+4E+2\n", [[1, 2], [2, 3]], [-0.1, 400]),
    "17 digits": ("1 2 0.12345678901234568\n1 2 123456789012345678901234567890\n", [[1, 2]] * 2, None),
}


@pytest.mark.parametrize("name", TEXTS)
def test_text_as_others_write_it(tmp_path, name):
    text, edges, weights = TEXTS[name]
    for suffix in (".csv", ".txt", ".tsv.gz"):
        path = tmp_path / f"e{suffix}"
        path.write_bytes(gzip.compress(text.encode()) if suffix.endswith("gz") else text.encode())
        got, found = listed(path)
        assert got == edges
        want = [0.12345678901234568, 123456789012345678901234567890.0] if weights is None else weights
        assert found == want


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1,,2\n", "at line 1: must be a node, got ''"),
        ("1,2,3\n1,,2\n", "at line 2: must be a node, got ''"),
        ("1,2,3\n1,2,\n", "at line 2: must be a weight, got ''"),
        ("1\t2\n1\t\t2\n", "at line 2: must have 2 columns, as the lines before it, got 3"),
        ("1;2\n1,2\n", "at line 2: must have 2 columns, as the lines before it, got 1"),
        ('1,2\n"1,2"\n', "at line 2: must have 2 columns"),
        (",a,b\n0,1,2\n", "columns without a name"),
        ("source,b\n1,2\n", "no column is known as the target among 'source', 'b'; say target="),
        ("1,2,3,4\n", "must have 2 or 3 columns, got 4; source= and target= choose"),
        ("a,b,c,d\n1,2,3,4\n", "must have 2 or 3 columns"),
        ("source,target\nann,bob\n", "at line 2: must be a node, got 'ann'; read_named_graph"),
        ("0,1\n" * 5 + "3,1.5\n", "at line 6: must be a node, got '1.5'"),
        ("0,9223372036854775808\n", "at line 1: must be a node"),
        ("0,-3\n", "at line 1: nodes must be at least 0, got -3"),
        ("0,1\n0,\u0661\n", "at line 2: must be a node"),
        ("0 1\n" + "1" * 1_100_000, "a line of more than 1048576 bytes is no edge"),
    ],
)
def test_text_that_is_no_edge(tmp_path, text, words):
    (tmp_path / "e.csv").write_text(text)
    with pytest.raises(fastdl.FileError) as caught:
        listed(tmp_path / "e.csv")
    assert words in str(caught.value)


def test_columns_by_name_and_by_place(tmp_path):
    path = tmp_path / "e.csv"
    path.write_text("id,a,b,strength\n9,1,2,0.5\n")
    assert listed(path, source="b", target="a", weight="strength") == ([[2, 1]], [0.5])
    assert listed(path, source=1, target="2") == ([[1, 2]], [])
    with pytest.raises(fastdl.FileError, match="there is no column 'c', there are the columns 'id', 'a', 'b'"):
        listed(path, source="c", target="a")
    path.write_text("7 1 2 8\n")
    assert listed(path, source=1, target=2) == ([[1, 2]], [])
    with pytest.raises(fastdl.FileError, match="4 columns and no heading"):
        listed(path, source=1, target=4)
    path.write_text("1 2,3\n")
    with pytest.raises(fastdl.FileError, match="must be a node, got '2,3'"):
        listed(path, delimiter=" ")


def test_nodes_from_one(tmp_path):
    (tmp_path / "e.txt").write_text("1 2\n3 1\n")
    assert listed(tmp_path / "e.txt", one_based=True)[0] == [[0, 1], [2, 0]]
    (tmp_path / "e.txt").write_text("1 2\n0 1\n")
    with pytest.raises(fastdl.FileError, match="at line 2: nodes must be at least 1, got 0"):
        listed(tmp_path / "e.txt", one_based=True)
    np.save(tmp_path / "e.npy", [[1, 3], [2, 1]])
    assert listed(tmp_path / "e.npy", one_based=True)[0] == [[0, 1], [2, 0]]


def test_many_empty_weights_are_all_seen(tmp_path):
    (tmp_path / "e.csv").write_text("1,2,3\n" + "1,2,\n" * 1000)
    with pytest.raises(fastdl.FileError, match="at line 2: must be a weight, got ''"):
        listed(tmp_path / "e.csv")
    (tmp_path / "e.csv").write_text("source,target,note\n" + "1,2,\n" * 1000)
    assert len(listed(tmp_path / "e.csv")[0]) == 1000
