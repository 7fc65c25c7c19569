"""Numbers in text: the kernel against its reference and against Python's float, on hard numbers and on anything."""

import io

import numpy as np
import pytest

from fastdl import _kernels
from fastdl.errors import FileError
from fastdl.files import open_points
from fastdl.files.points.text_rows import TextRows, powers_of_five
from fastdl.reference import files as reference

kernel = _kernels.load("files_numbers")
ways = pytest.mark.parametrize("way", [kernel, reference], ids=["kernel", "reference"])
POWERS = powers_of_five()


def parse(way, text, kinds=(0,), limits=None, rows=None, separator=0):
    if way is None:
        pytest.skip("the kernel is not built or not used")
    columns = np.array([(kind, *(limits or (-(2**63), 2**63 - 1))) for kind in kinds], np.int64)
    words = np.zeros((text.count(b"\n") if rows is None else rows, len(kinds)), np.uint64)
    state = np.zeros(3, np.int64)
    data = np.frombuffer(text, np.uint8)
    good = way.parse_rows(data, separator, columns, POWERS, words, state)
    return bool(good), state.tolist(), words[: state[1]]


def check_floats(way, tokens):
    good, state, words = parse(way, "".join(f"{t}\n" for t in tokens).encode())
    assert good
    assert state[1] == len(tokens)
    np.testing.assert_array_equal(words[:, 0], np.array([float(t) for t in tokens]).view(np.uint64))


@ways
def test_every_number_is_the_nearest_float(way):
    rng = np.random.default_rng(0)
    n = 20_000 if way is kernel else 500
    any_bits = rng.integers(0, 2**63, n, dtype=np.uint64).view(np.float64)
    values = any_bits[np.isfinite(any_bits)].tolist()
    for form in ("{!r}", "{:.16e}", "{:.18e}", "{:.25e}"):
        check_floats(way, [form.format(v) for v in values[: n if "25" not in form else 300]])
    check_floats(way, [f"{v:.3f}" for v in rng.normal(0, 1e5, n)])


@ways
def test_halfway_between_two_floats(way):
    rng = np.random.default_rng(1)
    tokens = [str(2 * int(m) + 1) for m in rng.integers(2**52, 2**53, 400)]
    tokens += [f"{(2 * int(m) + 1) * 5}e-1" for m in rng.integers(2**52, 2**53, 400)]
    tokens += [str((int(m) | 1) << int(e)) for m, e in zip(rng.integers(2**53, 2**54, 400), rng.integers(0, 8, 400))]
    tokens += ["1e23", "9007199254740993", "5e-324", "2.4703282292062327e-324", "2.2250738585072011e-308", "1.8e308"]
    tokens += ["1e400", "-1e400", "1e-400", "0e999999", "-0", "+.5", "5.", "1E5", "NaN", "inf", "-Infinity"]
    check_floats(way, tokens)


@ways
def test_digits_of_every_number(way):
    """Eight digits are read at a time: every number of them before and after the point, and zeros that do not count."""
    digits = "90817263545362718091827364" * 2
    for before in range(26):
        check_floats(way, [f"{digits[:before]}.{digits[before : before + k]}" for k in range(26) if before + k])
        check_floats(way, ["0" * before + f"{digits[:k]}e-3" for k in range(1, 26)])
        check_floats(way, ["0." + "0" * before + digits[:k] for k in range(26)])
    good, _, words = parse(way, b"".join(b"%d\n" % int(digits[:k]) for k in range(1, 20)), kinds=(1,), rows=19)
    assert words[:, 0].tolist() == [int(digits[:k]) for k in range(1, 20)] and good
    for k in range(1, 16):
        for wrong in "/:x \x80":
            assert parse(way, f"{digits[:k]}{wrong}{digits[:9]}\n".encode("latin1"), kinds=(1,))[1][1] == 0


@ways
@pytest.mark.parametrize("token", ["e5", "1e", "1e+", ".", "-", "1_0", "0x10", "1..2", "--1", "nanx", "1 2", "²", "٣"])
def test_what_is_no_number(way, token):
    assert parse(way, f"1\n{token}\n".encode())[:2] == (False, [2, 1, 1])


@ways
def test_integers_are_exact_and_within_their_limits(way):
    big = b"18446744073709551615\n9223372036854775808\n7.0\n1e2\n"
    assert parse(way, big, [2])[2][:, 0].tolist() == [2**64 - 1, 2**63, 7, 100]
    small = parse(way, b"-128\n127\n+5\n-0\n", [1], (-128, 127))[2].view(np.int64)
    assert small[:, 0].tolist() == [-128, 127, 5, 0]
    for text in (b"128\n", b"-129\n", b"1.5\n", b"1e400\n", b"nan\n", b"\n x\n", b"9223372036854775808\n"):
        assert not parse(way, text, [1], (-128, 127))[0], text
    for text in (b"-1\n", b"18446744073709551616\n"):
        assert not parse(way, text, [2])[0], text


def test_kernel_and_reference_agree_on_anything():
    rng = np.random.default_rng(2)
    letters = np.frombuffer(b"0123456789.-+eE ,\t\r\n naif_x", np.uint8)
    for _ in range(3000):
        text = rng.choice(letters, rng.integers(0, 40)).tobytes() + b"\n" * int(rng.integers(0, 2))
        for kinds, separator in (([0], 0), ([0, 1], 0), ([0, 0], ord(",")), ([2], 0)):
            a, b = (parse(way, text, kinds, separator=separator, rows=5) for way in (kernel, reference))
            assert a[:2] == b[:2], (text, kinds, separator)
            if not np.isnan(a[2].view(np.float64)).any():  # NaN has a sign that nobody reads
                np.testing.assert_array_equal(a[2], b[2], err_msg=repr(text))


def rows(text, size=3, total=None, **options):
    dtype = np.dtype([("a", "f8"), ("b", "u1")])
    chunks = list(TextRows("a.txt", dtype, 10, total, **options).chunks(io.BytesIO(text), size))
    assert all(len(c) <= size for c in chunks)
    return [tuple(row) for c in chunks for row in c.tolist()]


def test_rows_in_chunks():
    want = [(k / 4, k) for k in range(10)]
    text = "".join(f" {a}\t{b}\r\n\n" for a, b in want).encode()
    for size in (1, 3, 10, 99):
        assert rows(text, size) == want
        assert rows(text, size, 7) == want[:7]
        assert rows(text.rstrip(), size) == want
    assert rows(text.replace(b"\t", b", "), separator=",") == want
    assert rows(b"") == []


def test_the_line_is_named():
    for text, total, words in [
        (b"1 2\n\n1 256\n", None, "a.txt at line 13: '1 256' is not 2 numbers"),
        (b"1 2\n1 2 3", None, "a.txt at line 12: '1 2 3' is not"),
        (b"1 2\n", 2, "a.txt at line 12: truncated: 2 points announced, 1 there"),
        (b"1 2\n" + b"1" * 3_000_000, None, "a.txt at line 12: a line of more than"),
    ]:
        with pytest.raises(FileError, match=words):
            rows(text, total=total)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("separator", [",", ";", ", "])
@pytest.mark.parametrize("heading", [True, False])
def test_text_whose_fields_are_all_in_quotes(tmp_path, end, separator, heading):
    rng = np.random.default_rng(0)
    table = rng.normal(size=(40_000, 4))  # more than is read at once
    lines = [["x", "y", "z", "label"]] * heading + [[repr(float(v)) for v in row] for row in table]
    text = end.join(separator.join(f'"{word}"' for word in words) for words in lines)
    (tmp_path / "a.csv").write_bytes(text.encode())
    reader = open_points(tmp_path / "a.csv")
    got = np.concatenate(list(reader.chunks(10_000)))
    assert reader.columns == ("x", "y", "z", "label" if heading else "column3")
    assert np.array_equal(np.stack([got[name] for name in reader.columns], 1), table)


@pytest.mark.parametrize("row", ['"1,"2","3"', '"1"2,3,4', '1"2",3,4', '"1","2","3', '1,2,"3""4"', '"a","2","3"'])
def test_quotes_that_stand_elsewhere_are_no_numbers(tmp_path, row):
    (tmp_path / "a.csv").write_text(f"x,y,z\n1,2,3\n{row}\n")
    with pytest.raises(FileError, match="line 3: "):
        list(open_points(tmp_path / "a.csv").chunks(10))
