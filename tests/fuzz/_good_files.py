"""A small good file of every kind that is read: what the fuzz programs damage."""

import io
import json
import os
import struct
from pathlib import Path

import numpy as np

from tests import points_cloud_files
from tests.fuzz._packed import bgzip_block


def wav(kind, *, channels=2, form="WAV"):
    def make():
        import soundfile

        file = io.BytesIO()
        x = np.sin(np.arange(900) / 9)[:, None] * [0.5, 0.25][:channels]
        soundfile.write(file, x, 8000, kind, format=form)
        return file.getvalue()

    return make


def w64_of_a_pipe():
    """Its header twice before the samples and once behind, as SoX and libsndfile leave it; the sizes are not known."""
    data = wav("PCM_16", form="W64")()
    head = bytearray(data[:104])
    head[16:24], head[96:104] = bytes(8), struct.pack("<Q", 23)
    return bytes(head) + bytes(head) + data[104:] + bytes(head)


def cloud(name):
    def make():
        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            return points_cloud_files.write_all(Path(folder), points_cloud_files.cloud(200))[name].read_bytes()

    return make


def las(**options):
    def make():
        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "a"
            points_cloud_files.las(path, points=600, **options)
            return path.read_bytes()

    return make


def stream():
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        chunked, stream = Path(folder) / "a.laz", Path(folder) / "b.laz"
        points_cloud_files.las(chunked, points=600, fmt=1, compressed=True)
        points_cloud_files.unchunked(chunked, stream)
        return stream.read_bytes()


def coloured(kind):
    """A PCD file in text whose colours are integers or floats."""

    def make():
        rows = "".join(
            f"{k / 8} {k % 9} {-k / 4} {k * 70000 if kind == 'U' else 1e-38 + k * 1e-41}\n" for k in range(99)
        )
        head = f"VERSION 0.7\nFIELDS x y z rgb\nSIZE 4 4 4 4\nTYPE F F F {kind}\nWIDTH 99\nHEIGHT 1\nDATA ascii\n"
        return (head + rows).encode()

    return make


def lists_ply():
    head = "ply\nformat binary_little_endian 1.0\nelement face 3\nproperty list uchar int v\nelement vertex 40\n"
    head += "property float x\nproperty list uchar short l\nproperty float y\nproperty float z\nend_header\n"
    faces = b"".join(struct.pack("<B3i", 3, k, k, k) for k in range(3))
    rows = (struct.pack(f"<fB{k % 4}hff", k, k % 4, *range(k % 4), k, k) for k in range(40))
    return head.encode() + faces + b"".join(rows)


def xyzrgb():
    return "".join(f"{k / 8} {k % 9}\t{-k / 4} {k % 3} 0.5 1e-3\n" for k in range(99)).encode()


def vcf_text():
    rows = (f"chr{k % 3}\t{k + 1}\t.\tA\t{'T,<DEL>' if k % 2 else 'GG'}\t.\t.\t.\tGT\t0|1\n" for k in range(60))
    return ("##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQ\tF\tI\tFORMAT\ts1\n" + "".join(rows)).encode()


def fai():
    """The index that samtools makes of the genome."""
    at, lines = 0, []
    for record in fasta().split(b">")[1:]:
        head, _, body = record.partition(b"\n")
        wide = len(body.split(b"\n")[0])
        letters = len(body.replace(b"\n", b""))
        lines.append(b"%s\t%d\t%d\t%d\t%d\n" % (head.split()[0], letters, at + len(head) + 2, wide, wide + 1))
        at += len(record) + 1
    return b"".join(lines)


def description_text():
    about = {"rate": 8000, "channels": 1, "law": "wavenet", "quantization_channels": 256, "dialect": "wavenet"}
    return json.dumps(about, indent=2).encode()


def csv_cloud():
    rows = "".join(f"{k / 7},{k % 9},{-k / 3},{k}\n" for k in range(200))
    return ("x,y,z,label\n" + rows).encode()


def fasta():
    rng = np.random.default_rng(0)
    letters = ["".join("ACGTN"[i] for i in rng.integers(0, 5, n)) for n in (300, 61, 0, 7)]
    rows = [f">chr{k} text\n" + "\n".join(s[i : i + 60] for i in range(0, len(s), 60)) for k, s in enumerate(letters)]
    return "\n".join([*rows, ""]).encode()


def fastq():
    return b"".join(b"@read%d\n%s\n+\n%s\n" % (k, b"ACGT" * k, b"IIII" * k) for k in range(1, 30))


def bgzip(data):
    """Blocks of 100 bytes and the empty one at the end."""
    return b"".join(bgzip_block(data[k : k + 100]) for k in [*range(0, len(data), 100), len(data)])


def twobit():
    names = {b"chr1": 40, b"chr2": 9}
    at = 16 + sum(1 + len(n) + 4 for n in names)
    index, data = b"", b""
    for name, bases in names.items():
        index += bytes([len(name)]) + name + struct.pack("<I", at + len(data))
        blocks = struct.pack("<IIII", 1, 3, 2, 0) + struct.pack("<I", 0)
        data += struct.pack("<I", bases) + blocks + bytes(range(-(-bases // 4)))
    return struct.pack("<IIII", 0x1A412743, 0, len(names), 0) + index + data


def bed_text():
    rows = [b"chr%d\t%d\t%d\tname\t0\t%s\n" % (k % 3, k, k + 50, (b"+", b"-")[k % 2]) for k in range(40)]
    return b"track name=x\n" + b"".join(rows)


def edges_csv():
    return b"source,target,weight\n" + b"".join(b"%d,%d,%.3f\n" % (k, k * 7 % 50, k / 3) for k in range(99))


def market():
    rows = b"".join(b"%d %d %.2f\n" % (k % 50 + 1, k * 7 % 50 + 1, k / 3) for k in range(99))
    return b"%%MatrixMarket matrix coordinate real general\n% a comment\n50 50 99\n" + rows


def npy(x):
    file = io.BytesIO()
    np.save(file, x)
    return file.getvalue()


def npz(**arrays):
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def scipy_npz():
    import scipy.sparse

    file = io.BytesIO()
    scipy.sparse.save_npz(file, scipy.sparse.random(50, 50, 0.05, "csr", random_state=0))
    return file.getvalue()


def parquet():
    import pyarrow
    import pyarrow.parquet

    file = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table({"a": np.arange(99.0), "b": np.arange(99) % 7}), file)
    return file.getvalue()


def table_csv():
    return b"a,b,y\n" + b"".join(b"%d,%.3f,%d\n" % (k, k / 7, k % 2) for k in range(99))


def e57():
    import tempfile

    import pye57

    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "a.e57")
        with pye57.E57(path, mode="w") as file:
            xyz = {f"cartesian{axis}": np.arange(50.0) for axis in "XYZ"}
            file.write_scan_raw({**xyz, "intensity": np.linspace(0, 1, 50)})
        return Path(path).read_bytes()


def regions_csv():
    rows = b"".join(b"gene%d,chr%d,%d,%d,%s,%d\n" % (k, k % 3, k, k + 50, b"+-"[k % 2 :][:1], k + 9) for k in range(40))
    return b"gene,chrom,start,end,strand,summit\n" + rows


def narrow_peaks():
    rows = (b"chr%d\t%d\t%d\tp\t0\t.\t1.5\t-1\t-1\t%d\n" % (k % 3, k, k + 50, k % 50) for k in range(40))
    return b"".join(rows)


def frame(suffix, **columns):
    """A table of columns in a format of pyarrow."""
    import pyarrow
    import pyarrow.feather
    import pyarrow.parquet

    file = io.BytesIO()
    if suffix == ".arrow":
        pyarrow.feather.write_feather(pyarrow.table(columns), file)
    else:
        pyarrow.parquet.write_table(pyarrow.table(columns), file)
    return file.getvalue()


def edges_frame():
    return frame(".parquet", source=np.arange(99) % 50, target=np.arange(99) * 7 % 50, weight=np.arange(99) / 3)


def regions_frame():
    return frame(".parquet", chrom=["chr1"] * 40, start=np.arange(40), end=np.arange(40) + 9, strand=["+"] * 40)


def rows_npz():
    """The rows of a graph, as `fastdl graph -o` writes them."""
    indptr = np.arange(51) * 2
    return npz(indptr=indptr, indices=np.arange(100) * 7 % 50, shape=np.array([50, 50]), weight=np.ones(100))


def table_arrow():
    return frame(".arrow", a=np.arange(99.0), b=np.arange(99) % 7)


def open3d_npz():
    return npz(positions=np.arange(90.0).reshape(-1, 3), colors=np.zeros((30, 3)))


def names():
    return b"".join(b"node %d\n" % k for k in range(50))


def named_edges():
    rows = b"".join(b'"node %d",node %d,%.3f\n' % (k % 50, k * 7 % 50, k / 3) for k in range(99))
    return b"from,to,weight\n" + rows


def model():
    """What `fastdl fit` writes."""
    import tempfile

    from fastdl.cli import main

    with tempfile.TemporaryDirectory() as folder:
        table, made = Path(folder, "t.csv"), Path(folder, "m.json")
        rows = (f"{k},{'red' if k % 3 else 'blue'},{k % 7},{k * 2 + k % 3}\n" for k in range(60))
        table.write_text("a,kind,b,y\n" + "".join(rows))
        if main(["fit", str(table), "-o", str(made), "--degree", "2", "--quiet"]):
            raise RuntimeError("the table was not fitted")
        return made.read_bytes()


def record():
    """The record beside finished results."""
    lines = ({"output": f"{k}.npy", "result": [9, k], "input": f"{k}.wav", "source": [1, k]} for k in range(5))
    return "".join(json.dumps({**line, "options": "0" * 16}) + "\n" for line in lines).encode()
