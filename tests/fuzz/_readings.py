"""What reads a file of each kind whole: it raises what the reader raises, or AssertionError for what may not be.

A reader that gives other values in larger chunks, or an error in these alone, gave wrong ones.
"""

import contextlib
import io
import json
import os
import re

import numpy as np

from tests.fuzz import _good_files as good


def audio(path, **options):
    """The samples of a recording."""
    from fastdl.files import open_audio

    reader = open_audio(path, **options)
    whole = list(reader.chunks(1000))
    row = () if reader.channels == 1 else (reader.channels,)
    assert all(chunk.shape[1:] == row for chunk in whole)
    _same(whole, lambda: open_audio(path, **options).chunks(77))


def raw(path):
    """Samples without a header."""
    audio(path, raw="s24le,8000,1")


def _same(parts, again):
    """Raise unless the same comes in other parts."""
    try:
        others = list(again())
    except Exception as error:
        raise AssertionError(f"refused in other chunks alone: {error}") from None
    one, other = (b"".join(np.ascontiguousarray(x).tobytes() for x in some) for some in (parts, others))
    assert one == other, "other values in other chunks"


def codes(path):
    """Codes with the description beside them."""
    from fastdl.files.audio.codes import CodeReader

    _same(list(CodeReader(path).chunks(1000)), lambda: CodeReader(path).chunks(13))


def codes_sidecar(path):
    """The description of codes."""
    about = {"rate": 8000, "channels": 1, "law": "wavenet", "quantization_channels": 200, "dialect": "wavenet"}
    path.with_name(path.name + ".json").write_text(json.dumps(about))


def description(path):
    """The codes that the description stands beside."""
    path.with_name("codes.npy").write_bytes(good.npy(np.arange(200, dtype=np.uint8)))
    codes(path.with_name("codes.npy"))


def points(path):
    """A cloud, and what the command makes of it."""
    from fastdl.files import open_points

    reader = open_points(path)
    whole = []
    for chunk in reader.chunks(333):
        reader.table(chunk)
        whole.append(reader.rows(chunk))
    _same(whole, lambda: map(reader.rows, reader.chunks(41)))
    # What can be read can be reduced; a grid too large for its cells is the user's own choice of a size.
    made = path.with_name("made.npz")
    command("downsample", path, "-o", made, "--voxel-size", "1e3", "--overwrite")


def command(*words):
    """The code of a command, which names a file where it fails, and says nothing raw."""
    from fastdl.cli import main

    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        code = main([*map(str, words), "--quiet"])
    told = said.getvalue()
    assert code in (0, 1), (code, told)
    assert bool(told) == bool(code), told
    assert not code or any(str(word) in told for word in words if isinstance(word, os.PathLike)), told
    assert not re.search(r"Traceback|[a-z]Error\b", told), told
    return code


def sequences(path):
    """All letters, and windows where they can be had."""
    from fastdl.files import open_sequences

    reader = open_sequences(path)
    read = reader.batches if hasattr(reader, "batches") else reader.chunks
    whole = list(read(1000))
    letters = b"".join(part.letters.tobytes() for part in whole if hasattr(part, "letters"))
    if hasattr(reader, "fetch"):
        at = 0
        for name, length in list(reader.lengths.items())[:3]:
            found = reader.fetch(name, 0, min(length, 10)).tobytes()
            assert found.upper() == letters[at : at + min(length, 10)].upper() or not letters, name
            at += length
    reader.close()


def index(path):
    """The genome that the index stands beside: its letters are right, whatever the index says."""
    from fastdl.files import open_sequences

    genome = path.with_name("genome.fa")
    genome.write_bytes(good.fasta())
    os.utime(genome, (0, 0))  # an index that is older than its genome would not be read
    want = {}
    for record in good.fasta().split(b">")[1:]:
        head, _, body = record.partition(b"\n")
        want[head.split()[0].decode()] = body.replace(b"\n", b"")
    reader = open_sequences(genome)
    assert dict(reader.lengths) == {name: len(letters) for name, letters in want.items()}
    for name, letters in want.items():
        assert reader.fetch(name, 0, len(letters)).tobytes() == letters, name
    reader.close()


def regions(path):
    """Regions of BED or of a table."""
    from fastdl.files import read_regions

    whole = [(r.starts, r.stops, r.summits) for r in read_regions(path)]
    _same([np.stack(part, 1) for part in whole], lambda: (np.stack(r[1:3] + r[5:], 1) for r in read_regions(path, 3)))


def variants(path):
    """Variants: all, and those of a haplotype."""
    from fastdl.files import read_vcf

    read_vcf(path)
    read_vcf(path, sample="s1", haplotype=1)


def graph(path):
    """The edges, and their graph."""
    from fastdl.files import read_edges, read_graph

    edges = [np.asarray(part[0]) for part in read_edges(path)]
    if max((int(e.max()) for e in edges if e.size), default=0) < 10**6:
        held = read_graph(path)
        assert held.num_edges == sum(e.shape[1] for e in edges)


def names(path):
    """The names of nodes, with edges that use them."""
    edges = path.with_name("edges.csv")
    edges.write_bytes(good.named_edges())
    command("graph", edges, "--ids", path, "-o", path.with_name("rows.npz"), "--overwrite")


def named_graph(path):
    """Edges of names, which are numbered."""
    from fastdl.files import read_named_graph

    held, table = read_named_graph(path)
    assert held.num_targets <= len(table)


def features(path):
    """The features of nodes, gathered along edges."""
    edges = path.with_name("edges.csv")
    edges.write_bytes(b"0,1\n1,2\n2,0\n9,3\n")
    made = path.with_name("made.npy")
    code = command("graph", edges, "--features", path, "-o", made, "--overwrite")
    assert code or len(np.load(made)) == len(np.load(path))


def table(path):
    """The columns of a table, in blocks."""
    from fastdl.files import Table

    for _ in Table(path).chunks():
        pass


def fitted(path):
    """A table that is fitted."""
    command("fit", path, "-o", path.with_name("made.json"), "--overwrite")


def model(path):
    """A model, and its values."""
    rows = path.with_name("rows.csv")
    rows.write_text("a,kind,b\n1,red,2\n7.5,blue,0\n3,red,1\n")
    made = path.with_name("made.npy")
    code = command("predict", path, rows, "-o", made, "--overwrite")
    assert code or np.load(made).shape == (3,)


def record(path):
    """A job into the folder of the record, which is continued."""
    source = path.with_name("cloud.npy")
    source.write_bytes(good.npy(np.arange(40, dtype=np.float32).reshape(-1, 4)))
    record = path.with_name(".fastdl-record.jsonl")
    record.write_bytes(path.read_bytes())
    words = ("downsample", source, "-o", path.with_name("x.ply"), "--voxel-size", "1", "--skip-existing")
    for _ in range(2):
        assert command(*words) == 0
    assert path.with_name("x.ply").stat().st_size
