"""A small good file of every kind that is read, and what reads it whole: what the fuzz programs damage."""

import gzip
import io
import json
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests import points_cloud_files

Read = Callable[[Path], object]


@dataclass(frozen=True)
class Kind:
    """A kind of input: its file's name, a good one's bytes, what stands beside it, and what reads it whole."""

    name: str
    make: Callable[[], bytes]
    read: Read
    beside: Callable[[Path], None] | None = None
    needs: str = ""


def _audio(path):
    from fastdl.files import open_audio

    reader = open_audio(path)
    for chunk in reader.chunks(1000):
        assert chunk.shape[1:] == (() if reader.channels == 1 else (reader.channels,))


def _codes(path):
    from fastdl.files.audio.codes import CodeReader

    for _ in CodeReader(path).chunks(1000):
        pass


def _points(path):
    from fastdl.cli import main
    from fastdl.files import open_points

    reader = open_points(path)
    for chunk in reader.chunks(333):
        reader.table(chunk)
        reader.rows(chunk)
    made = path.with_name("made.npz")
    # What can be read can be reduced; a grid too large for its cells is the user's own choice of a size.
    main(["downsample", str(path), "-o", str(made), "--voxel-size", "1e3", "--overwrite", "--quiet"])


def _sequences(path):
    from fastdl.files import open_sequences

    reader = open_sequences(path)
    for _ in reader.batches(1000) if hasattr(reader, "batches") else reader.chunks(1000):
        pass
    if hasattr(reader, "fetch"):
        for name, length in list(reader.lengths.items())[:3]:
            reader.fetch(name, 0, min(length, 10))
    reader.close()


def _bed(path):
    from fastdl.files import read_bed

    for _ in read_bed(path):
        pass


def _graph(path):
    from fastdl.files import read_edges, read_graph

    edges = [np.asarray(part[0]) for part in read_edges(path)]
    if max((int(e.max()) for e in edges if e.size), default=0) < 10**6:
        read_graph(path)


def _table(path):
    from fastdl.files import Table

    for _ in Table(path).chunks():
        pass


def _wav(kind, *, channels=2, form="WAV"):
    def make():
        import soundfile

        file = io.BytesIO()
        x = np.sin(np.arange(900) / 9)[:, None] * [0.5, 0.25][:channels]
        soundfile.write(file, x, 8000, kind, format=form)
        return file.getvalue()

    return make


def _w64_of_a_pipe():
    """Its header twice before the samples and once behind, as SoX and libsndfile leave it; the sizes are not known."""
    data = _wav("PCM_16", form="W64")()
    head = bytearray(data[:104])
    head[16:24], head[96:104] = bytes(8), struct.pack("<Q", 23)
    return bytes(head) + bytes(head) + data[104:] + bytes(head)


def _raw(path):
    from fastdl.files import open_audio

    for _ in open_audio(path, raw="s24le,8000,1").chunks(1000):
        pass


def _codes_sidecar(path):
    about = {"channels": 1, "quantization_channels": 256, "dialect": "wavenet", "rate": 8000}
    path.with_name(path.name + ".json").write_text(json.dumps(about))


def _cloud(name):
    def make():
        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            return points_cloud_files.write_all(Path(folder), points_cloud_files.cloud(200))[name].read_bytes()

    return make


def _las(**options):
    def make():
        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "a"
            points_cloud_files.las(path, points=600, **options)
            return path.read_bytes()

    return make


def _stream():
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        chunked, stream = Path(folder) / "a.laz", Path(folder) / "b.laz"
        points_cloud_files.las(chunked, points=600, fmt=1, compressed=True)
        points_cloud_files.unchunked(chunked, stream)
        return stream.read_bytes()


def _coloured(kind):
    """A PCD file in text whose colours are integers or floats."""

    def make():
        rows = "".join(
            f"{k / 8} {k % 9} {-k / 4} {k * 70000 if kind == 'U' else 1e-38 + k * 1e-41}\n" for k in range(99)
        )
        head = f"VERSION 0.7\nFIELDS x y z rgb\nSIZE 4 4 4 4\nTYPE F F F {kind}\nWIDTH 99\nHEIGHT 1\nDATA ascii\n"
        return (head + rows).encode()

    return make


def _lists_ply():
    head = "ply\nformat binary_little_endian 1.0\nelement face 3\nproperty list uchar int v\nelement vertex 40\n"
    head += "property float x\nproperty list uchar short l\nproperty float y\nproperty float z\nend_header\n"
    faces = b"".join(struct.pack("<B3i", 3, k, k, k) for k in range(3))
    rows = (struct.pack(f"<fB{k % 4}hff", k, k % 4, *range(k % 4), k, k) for k in range(40))
    return head.encode() + faces + b"".join(rows)


def _xyzrgb():
    return "".join(f"{k / 8} {k % 9}\t{-k / 4} {k % 3} 0.5 1e-3\n" for k in range(99)).encode()


def _vcf_text():
    rows = (f"chr{k % 3}\t{k + 1}\t.\tA\t{'T,<DEL>' if k % 2 else 'GG'}\t.\t.\t.\tGT\t0|1\n" for k in range(60))
    return ("##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQ\tF\tI\tFORMAT\ts1\n" + "".join(rows)).encode()


def _vcf(path):
    from fastdl.files import read_vcf

    read_vcf(path)
    read_vcf(path, sample="s1", haplotype=1)


def _fai():
    """The index that samtools makes of the genome."""
    at, lines = 0, []
    for record in _fasta().split(b">")[1:]:
        head, _, body = record.partition(b"\n")
        wide = len(body.split(b"\n")[0])
        letters = len(body.replace(b"\n", b""))
        lines.append(b"%s\t%d\t%d\t%d\t%d\n" % (head.split()[0], letters, at + len(head) + 2, wide, wide + 1))
        at += len(record) + 1
    return b"".join(lines)


def _index(path):
    """The genome that the index stands beside."""
    from fastdl.files import open_sequences

    genome = path.with_name("genome.fa")
    genome.write_bytes(_fasta())
    os.utime(genome, (0, 0))  # an index that is older than its genome would not be read
    reader = open_sequences(genome)
    for name, length in list(reader.lengths.items())[:3]:
        reader.fetch(name, 0, min(length, 10))
    reader.close()


def _description(path):
    """The codes that the description stands beside."""
    path.with_name("codes.npy").write_bytes(_npy(np.arange(250, dtype=np.uint8)))
    _codes(path.with_name("codes.npy"))


def _description_text():
    about = {"rate": 8000, "channels": 1, "law": "wavenet", "quantization_channels": 256, "dialect": "wavenet"}
    return json.dumps(about, indent=2).encode()


def _csv_cloud():
    rows = "".join(f"{k / 7},{k % 9},{-k / 3},{k}\n" for k in range(200))
    return ("x,y,z,label\n" + rows).encode()


def _fasta():
    rng = np.random.default_rng(0)
    letters = ["".join("ACGTN"[i] for i in rng.integers(0, 5, n)) for n in (300, 61, 0, 7)]
    rows = [f">chr{k} text\n" + "\n".join(s[i : i + 60] for i in range(0, len(s), 60)) for k, s in enumerate(letters)]
    return "\n".join([*rows, ""]).encode()


def _fastq():
    return b"".join(b"@read%d\n%s\n+\n%s\n" % (k, b"ACGT" * k, b"IIII" * k) for k in range(1, 30))


def _bgzip(data):
    """Blocks of 100 bytes, each with its size, as bgzip has them, and the empty one at the end."""
    out = []
    for start in [*range(0, len(data), 100), len(data)]:
        body = gzip.compress(data[start : start + 100], mtime=0)
        deflated = body[10:]
        size = 18 + len(deflated)
        out.append(b"\x1f\x8b\x08\x04" + bytes(6) + struct.pack("<HBBHH", 6, 66, 67, 2, size - 1) + deflated)
    return b"".join(out)


def _twobit():
    names = {b"chr1": 40, b"chr2": 9}
    at = 16 + sum(1 + len(n) + 4 for n in names)
    index, data = b"", b""
    for name, bases in names.items():
        index += bytes([len(name)]) + name + struct.pack("<I", at + len(data))
        blocks = struct.pack("<IIII", 1, 3, 2, 0) + struct.pack("<I", 0)
        data += struct.pack("<I", bases) + blocks + bytes(range(-(-bases // 4)))
    return struct.pack("<IIII", 0x1A412743, 0, len(names), 0) + index + data


def _bed_text():
    rows = [b"chr%d\t%d\t%d\tname\t0\t%s\n" % (k % 3, k, k + 50, (b"+", b"-")[k % 2]) for k in range(40)]
    return b"track name=x\n" + b"".join(rows)


def _edges_csv():
    return b"source,target,weight\n" + b"".join(b"%d,%d,%.3f\n" % (k, k * 7 % 50, k / 3) for k in range(99))


def _market():
    rows = b"".join(b"%d %d %.2f\n" % (k % 50 + 1, k * 7 % 50 + 1, k / 3) for k in range(99))
    return b"%%MatrixMarket matrix coordinate real general\n% a comment\n50 50 99\n" + rows


def _npy(x):
    file = io.BytesIO()
    np.save(file, x)
    return file.getvalue()


def _npz(**arrays):
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def _scipy_npz():
    import scipy.sparse

    file = io.BytesIO()
    scipy.sparse.save_npz(file, scipy.sparse.random(50, 50, 0.05, "csr", random_state=0))
    return file.getvalue()


def _parquet():
    import pyarrow
    import pyarrow.parquet

    file = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table({"a": np.arange(99.0), "b": np.arange(99) % 7}), file)
    return file.getvalue()


def _table_csv():
    return b"a,b,y\n" + b"".join(b"%d,%.3f,%d\n" % (k, k / 7, k % 2) for k in range(99))


def _e57():
    import tempfile

    import pye57

    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "a.e57")
        with pye57.E57(path, mode="w") as file:
            xyz = {f"cartesian{axis}": np.arange(50.0) for axis in "XYZ"}
            file.write_scan_raw({**xyz, "intensity": np.linspace(0, 1, 50)})
        return Path(path).read_bytes()


KINDS = {
    kind.name: kind
    for kind in [
        Kind("pcm16.wav", _wav("PCM_16"), _audio, needs="soundfile"),
        Kind("pcm24.wav", _wav("PCM_24"), _audio, needs="soundfile"),
        Kind("float.w64", _wav("FLOAT", form="W64"), _audio, needs="soundfile"),
        Kind("pcm32.wav", _wav("PCM_32"), _audio, needs="soundfile"),
        Kind("double.wav", _wav("DOUBLE"), _audio, needs="soundfile"),
        Kind("phone.wav", _wav("ULAW"), _audio, needs="soundfile"),
        Kind("adpcm.wav", _wav("IMA_ADPCM"), _audio, needs="soundfile"),
        Kind("studio.aiff", _wav("PCM_24", form="AIFF"), _audio, needs="soundfile"),
        Kind("sun.au", _wav("ALAW", form="AU"), _audio, needs="soundfile"),
        Kind("apple.caf", _wav("ALAC_24", form="CAF"), _audio, needs="soundfile"),
        Kind("big.rf64", _wav("PCM_16", form="RF64"), _audio, needs="soundfile"),
        Kind("music.flac", _wav("PCM_16", form="FLAC"), _audio, needs="soundfile"),
        Kind("music.ogg", _wav("VORBIS", form="OGG"), _audio, needs="soundfile"),
        Kind("music.mp3", _wav("MPEG_LAYER_III", form="MP3"), _audio, needs="soundfile"),
        Kind("voice.opus", _wav("OPUS", form="OGG"), _audio, needs="soundfile"),
        Kind("gsm.wav", _wav("GSM610", channels=1), _audio, needs="soundfile"),
        Kind("pipe.w64", _w64_of_a_pipe, _audio, needs="soundfile"),
        Kind("samples.raw", lambda: bytes(range(251)) * 3, _raw),
        Kind("codes.npy.json", _description_text, _description),
        Kind("codes.npy", lambda: _npy(np.arange(500, dtype=np.uint8)[:, None]), _codes, _codes_sidecar),
        Kind("kitti.bin", _cloud("kitti.bin"), _points),
        Kind("nuscenes.pcd.bin", _cloud("nuscenes.pcd.bin"), _points),
        Kind("plain.npy", _cloud("plain.npy"), _points),
        Kind("records.npy", _cloud("records.npy"), _points),
        Kind("columns.npz", _cloud("columns.npz"), _points),
        Kind("packed.npz", lambda: _npz(points=np.arange(800.0).reshape(-1, 4)), _points),
        Kind("ascii.pcd", _cloud("ascii.pcd"), _points),
        Kind("binary.pcd", _cloud("binary.pcd"), _points),
        Kind("compressed.pcd", _cloud("compressed.pcd"), _points),
        Kind("ascii.ply", _cloud("ascii.ply"), _points),
        Kind("little.ply", _cloud("little.ply"), _points),
        Kind("big.ply", _cloud("big.ply"), _points),
        Kind("lists.ply", _lists_ply, _points),
        Kind("colours.pcd", _coloured("U"), _points),
        Kind("packed.pcd", _coloured("F"), _points),
        Kind("open3d.npz", lambda: _npz(positions=np.arange(90.0).reshape(-1, 3), colors=np.zeros((30, 3))), _points),
        Kind("points.csv", _csv_cloud, _points),
        Kind("colours.xyzrgb", _xyzrgb, _points),
        Kind("plain.las", _las(extra=True), _points),
        Kind("wide.las", _las(version="1.4", fmt=8), _points),
        Kind("chunks.laz", _las(compressed=True), _points, needs="lazrs"),
        Kind("layers.laz", _las(compressed=True, version="1.4", fmt=7, extra=True), _points, needs="lazrs"),
        Kind("stream.laz", _stream, _points, needs="lazrs"),
        Kind("scan.e57", _e57, _points, needs="pye57"),
        Kind("genome.fa", _fasta, _sequences),
        Kind("genome.fa.gz", lambda: _bgzip(_fasta()), _sequences),
        Kind("reads.fastq", _fastq, _sequences),
        Kind("reads.fastq.gz", lambda: gzip.compress(_fastq(), mtime=0), _sequences),
        Kind("genome.2bit", _twobit, _sequences),
        Kind("genome.fa.fai", _fai, _index),
        Kind("calls.vcf", _vcf_text, _vcf),
        Kind("calls.vcf.gz", lambda: gzip.compress(_vcf_text(), mtime=0), _vcf),
        Kind("regions.bed", _bed_text, _bed),
        Kind("edges.csv", _edges_csv, _graph),
        Kind("edges.npy", lambda: _npy(np.arange(98).reshape(2, -1)), _graph),
        Kind("edges.npz", lambda: _npz(edges=np.arange(98).reshape(2, -1)), _graph),
        Kind("sparse.npz", _scipy_npz, _graph, needs="scipy"),
        Kind("graph.mtx", _market, _graph),
        Kind("table.csv", _table_csv, _table),
        Kind("table.npy", lambda: _npy(np.arange(400.0).reshape(-1, 4)), _table),
        Kind("table.parquet", _parquet, _table, needs="pyarrow"),
    ]
}
