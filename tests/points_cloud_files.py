"""Small point clouds in every kind of file, made from one cloud, for the tests of files and of the command line."""

import numpy as np

from tests.test_points_lzf import compress

N = 1000
DTYPE = np.dtype([("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("intensity", "<f4")])


def cloud(n=N, seed=0):
    """n points of float32 x, y, z, intensity in steps of 1/1024, which text holds exactly."""
    rng = np.random.default_rng(seed)
    x = np.zeros(n, DTYPE)
    for name, low, high in (("x", -20, 20), ("y", -10, 30), ("z", -2, 2), ("intensity", 0, 1)):
        x[name] = rng.integers(low * 1024, high * 1024, n) / 1024
    return x


def floats(x):
    return x.view("<f4").reshape(len(x), len(x.dtype))


def pcd(x, kind, *, points=None, head="", colour=False):
    names = [*x.dtype.names]
    text = (
        f"# .PCD v0.7\nVERSION 0.7\nFIELDS {' '.join(names)}\n"
        f"SIZE {' '.join(str(x.dtype[n].itemsize) for n in names)}\n"
        f"TYPE {' '.join({'f': 'F', 'i': 'I', 'u': 'U'}[x.dtype[n].kind] for n in names)}\nCOUNT {'1 ' * len(names)}\n"
        f"WIDTH {len(x) if points is None else points}\nHEIGHT 1\nVIEWPOINT 0 0 0 1 0 0 0\n"
        f"POINTS {len(x) if points is None else points}\n{head}DATA {kind}\n"
    ).encode()
    if kind == "ascii":
        return text + rows(x)
    if kind == "binary":
        return text + x.tobytes()
    plain = b"".join(np.ascontiguousarray(x[n]).tobytes() for n in names)
    packed = compress(plain)
    return text + np.array([len(packed), len(plain)], "<u4").tobytes() + packed


def rows(x):
    return "".join(" ".join(repr(v.item()) for v in row) + "\n" for row in x).encode()


def ply(x, kind, *, points=None, before="", after="", head=b"", tail=b""):
    names = {"f4": "float", "f8": "double", "u1": "uchar", "i4": "int", "u2": "uint16"}
    text = f"ply\nformat {kind} 1.0\ncomment a test\n{before}element vertex {len(x) if points is None else points}\n"
    text += "".join(f"property {names[x.dtype[n].str[1:]]} {n}\n" for n in x.dtype.names) + after + "end_header\n"
    if kind == "ascii":
        return text.encode() + head + rows(x) + tail
    order = "<" if "little" in kind else ">"
    return text.encode() + head + x.astype(x.dtype.newbyteorder(order)).tobytes() + tail


FACES = "element face 1\nproperty list uchar int vertex_indices\n"


def write_all(folder, x=None):
    """name -> path of x in every kind of file that needs no other library."""
    x = cloud() if x is None else x
    five = np.concatenate([floats(x), np.zeros((len(x), 1), "<f4")], axis=1)
    files = {
        "kitti.bin": x.tobytes(),
        "nuscenes.pcd.bin": five.tobytes(),
        "ascii.pcd": pcd(x, "ascii"),
        "binary.pcd": pcd(x, "binary"),
        "compressed.pcd": pcd(x, "binary_compressed"),
        "ascii.ply": ply(x, "ascii", after=FACES, tail=b"4 0 1 2 3\n"),
        "little.ply": ply(x, "binary_little_endian", after=FACES, tail=b"\x04" + bytes(16)),
        "big.ply": ply(x, "binary_big_endian"),
    }
    for name, data in files.items():
        (folder / name).write_bytes(data)
    np.save(folder / "plain.npy", floats(x))
    np.save(folder / "records.npy", x)
    np.savez(folder / "one.npz", points=floats(x))
    np.savez(folder / "columns.npz", **{n: x[n] for n in x.dtype.names})
    return {path.name: path for path in folder.iterdir()}


def las(path, points=2000, *, compressed=False, seed=0, version="1.2", fmt=3, scale=0.001, extra=False, block=1 << 20):
    """A LAS or LAZ file of a rolling landscape that a scanner passes over; its records."""
    import laspy

    header = laspy.LasHeader(version=version, point_format=fmt)
    header.scales, header.offsets = [scale] * 3, [500000.0, 4900000.5, -10.0]
    if extra:
        header.add_extra_dim(laspy.ExtraBytesParams("echo", "u4"))
        header.add_extra_dim(laspy.ExtraBytesParams("normal", "3f4"))
    rng, extent, parts = np.random.default_rng(seed), max(int((points / 16) ** 0.5 / scale), 1), []
    with laspy.open(path, "w", header=header, do_compress=compressed) as file:
        for start in range(0, points, block):
            n = min(block, points - start)
            a = np.zeros(n, header.point_format.dtype())
            a["X"] = rng.integers(-extent // 2, extent // 2, n)
            a["Y"] = np.linspace(start, start + n, n) / points * extent + rng.integers(0, int(20 / scale), n)
            a["Z"] = (20 + 8 * np.sin(a["X"] * scale / 30)) / scale + rng.normal(0, 0.3 / scale, n)
            a["intensity"] = rng.integers(0, 60000, n)
            a["bit_fields"] = 9 + 16 * (fmt >= 6)
            a["classification" if fmt >= 6 else "raw_classification"] = rng.integers(1, 7, n)
            a["point_source_id"] = rng.integers(0, 65536, n)
            if "gps_time" in a.dtype.names:
                a["gps_time"] = np.linspace(start, start + n, n)
            if "red" in a.dtype.names:
                a["red"] = rng.integers(0, 65536, n)
            if extra:
                a["echo"], a["normal"] = rng.integers(0, 1 << 32, n), rng.normal(size=(n, 3))
            file.write_points(laspy.PackedPointRecord(a, header.point_format))
            if points <= block:
                parts.append(a)
    return parts[0] if parts else None


def unchunked(source, target, chunk_size=0):
    """A LAZ file of one chunk as the first writers of LASzip left it: one stream, without a table of chunks."""
    data = bytearray(source.read_bytes())
    start = int.from_bytes(data[96:100], "little")
    table = int.from_bytes(data[start : start + 8], "little")
    vlr = data.index(b"laszip encoded") + 52
    data[vlr : vlr + 2] = (1).to_bytes(2, "little")
    data[vlr + 12 : vlr + 16] = chunk_size.to_bytes(4, "little")
    target.write_bytes(data[:start] + data[start + 8 : table])
