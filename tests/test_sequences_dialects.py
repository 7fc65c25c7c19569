"""`like=` gives the rows of each peer: compared with it where it is installed, and with its table on every byte."""

import importlib.util
import subprocess
import sys

import numpy as np
import pytest

import fastdl
from fastdl.sequences.encoding import LIKE, one_hot

EVERY = np.arange(256, dtype=np.uint8)


def peer(module, code, folder, *arrays):
    """What `code` makes of x[0], x[1], ... with a peer, in a process of its own: some bring compilers or threads."""
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"needs {module}")
    for i, x in enumerate(arrays):
        np.save(folder / f"{i}.npy", x)
    code = f"import sys, numpy as np\nx = [np.load(sys.argv[1] + f'/{{i}}.npy') for i in range({len(arrays)})]\n{code}"
    code += "\nnp.save(sys.argv[1] + '/out.npy', out)"
    done = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True, timeout=300)
    if "ModuleNotFoundError" in done.stderr:
        pytest.skip(done.stderr.splitlines()[-1])
    assert done.returncode == 0, done.stderr
    return np.load(folder / "out.npy")


def test_like_seqpro_equals_seqpro(tmp_path):
    x = np.random.default_rng(0).integers(0, 256, (3, 5000), dtype=np.uint8)
    want = peer("seqpro", "import seqpro\nout = seqpro.ohe(x[0].view('S1'), seqpro.DNA)", tmp_path, x)
    got = one_hot(x, like="seqpro")
    assert got.dtype == want.dtype
    np.testing.assert_array_equal(got, want)


def test_like_tangermeme_equals_tangermeme(tmp_path):
    x = np.random.default_rng(0).choice(np.frombuffer(b"ACGTN", np.uint8), 5000)
    code = "from tangermeme.utils import one_hot_encode\nout = one_hot_encode(x[0].tobytes().decode()).numpy()"
    want = peer("tangermeme", code, tmp_path, x)
    got = one_hot(x, like="tangermeme")
    assert got.dtype == want.dtype
    np.testing.assert_array_equal(got, want)
    code = """
from tangermeme.utils import one_hot_encode
def taken(byte):
    try:
        one_hot_encode(chr(byte))
    except ValueError:
        return False
    return True
out = np.array([taken(byte) for byte in range(128)])
"""
    for byte, taken in enumerate(peer("tangermeme", code, tmp_path)):
        if taken:
            one_hot(chr(byte), like="tangermeme")
        else:
            with pytest.raises(fastdl.InputError):
                one_hot(chr(byte), like="tangermeme")


def test_like_kipoiseq_equals_kipoiseq(tmp_path):
    x = np.random.default_rng(0).integers(0, 128, 5000).astype(np.uint8)
    code = "from kipoiseq.transforms.functional import one_hot_dna\nout = one_hot_dna(x[0].tobytes().decode())"
    want = peer("kipoiseq", code, tmp_path, x)
    got = one_hot(x, like="kipoiseq")
    assert got.dtype == want.dtype
    np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize(
    ("like", "upper", "lower", "n", "other", "dtype", "layout"),
    [
        ("seqpro", 1, 0, 0, 0, "uint8", "last"),
        ("tangermeme", 1, None, 0, None, "int8", "first"),
        ("selene", 1, 1, 0.25, 0.25, "float32", "last"),
        ("kipoiseq", 1, 0, 0.25, 0, "float32", "last"),
        ("enformer", 1, 0, 0, 0, "float32", "last"),
        ("basenji", 1, 1, 0, 0, "bool", "last"),
    ],
)
def test_like_on_every_byte(like, upper, lower, n, other, dtype, layout):
    assert like in LIKE
    for byte in range(256):
        letter = chr(byte)
        value = upper if letter in "ACGT" else lower if letter in "acgt" else None
        if value:
            want = np.eye(4)["ACGT".index(letter.upper())]
        else:
            fill = n if letter == "N" or (letter == "n" and like in ("selene", "basenji")) else other
            fill = lower if letter in "acgt" else fill
            want = None if fill is None else np.full(4, fill)
        if want is None:
            with pytest.raises(fastdl.InputError):
                one_hot(EVERY[byte : byte + 1], like=like)
            continue
        got = one_hot(EVERY[byte : byte + 1], like=like)
        assert got.dtype == dtype
        assert got.shape == ((1, 4) if layout == "last" else (4, 1))
        np.testing.assert_array_equal(got.reshape(4), want, err_msg=repr(letter))


def test_like_yields_to_what_is_given():
    assert one_hot("A", like="enformer", dtype="uint8").dtype == np.uint8
    assert one_hot("a", like="seqpro", case="fold").tolist() == [[1, 0, 0, 0]]
