"""Point clouds of any format: the reader or writer of a file is chosen here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fastdl import _check
from fastdl._typing import Array
from fastdl.errors import FileError, InputError
from fastdl.files.atomic import replacing
from fastdl.files.points import arrays, e57, las, las_writer, pcd, ply, text
from fastdl.files.points.reader import PointReader
from fastdl.files.points.sorted_rows import CloudRows

#: File name endings that a folder is searched for; .txt and .csv may be anything and are read when they are named.
SUFFIXES = (".bin", ".npy", ".npz", ".las", ".laz", ".pcd", ".ply", ".e57", ".xyz", ".xyzn", ".xyzrgb", ".pts")
#: File name endings that can be written.
FORMATS = (".npz", ".npy", ".las", ".laz", ".ply", ".pcd", ".bin", ".xyz", ".txt", ".csv")
_TEXT = (".xyz", ".pts", ".txt", ".csv")


def open_points(path: str | Path, *, bounds: bool = True, layout: Sequence[str] | None = None) -> PointReader:
    """A reader for LAS, LAZ, COPC, PCD, PLY, E57, .npy, .npz, KITTI's .bin, nuScenes' .pcd.bin, .xyz, .txt and .csv.

    Parameters
    ----------
    path : str or Path
        The format is known by the first bytes, or, where they do not tell, by the ending of the name.
    bounds : bool
        Whether points of a compressed LAS file outside the bounds in its header count as corruption.
    layout : sequence of str, optional
        The names of the columns, for files that do not hold them: x, y, z and any others; "_" leaves a column out.

    Returns
    -------
    PointReader
        With `points`, `schema`, `columns`, and `chunks(n)` that gives arrays of at most n points.

    Raises
    ------
    FileError
        For a file that is none of these, truncated or corrupt.

    Examples
    --------
    >>> import numpy as np, tempfile, os
    >>> from fastdl.files.points import open_points
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "scan.bin")
    ...     np.arange(12, dtype="<f4").tofile(path)
    ...     reader = open_points(path)
    ...     reader.points, reader.columns
    (3, ('x', 'y', 'z', 'intensity'))
    """
    path = _check.existing(path)
    with open(path, "rb") as file:
        start = file.read(4096)
    name = path.name.lower()
    if not start:
        raise FileError(path, "is empty", 0)
    if start[:4] == b"LASF":
        return las.LasReader(path, bounds=bounds)
    if start[:6] == b"\x93NUMPY":
        return arrays.NpyPointReader(path, layout)
    if start[:4] == b"PK\x03\x04":
        return arrays.NpzPointReader(path, layout)
    if start[:4].rstrip() == b"ply":
        return ply.PlyReader(path)
    if start[:8] == b"ASTM-E57":
        return e57.E57Reader(path)
    if any(line.split(b"#")[0].startswith((b"VERSION", b"FIELDS", b"COLUMNS")) for line in start.splitlines()[:20]):
        return pcd.PcdReader(path)
    if name.endswith(".bin"):
        return arrays.FloatReader(path, layout)
    if name.endswith((*_TEXT, ".asc", ".xyzn", ".xyzrgb")):
        return text.TextReader(path, layout)
    known = "LAS, LAZ, PCD, PLY, E57, .npy, .npz, .bin, .pcd.bin, .xyz, .txt, .csv"
    raise FileError(path, f"is not a cloud that can be read ({known})", 0)


def write_points(
    path: str | Path, rows: CloudRows, *, like: PointReader | None = None, extra: dict[str, Array] | None = None
) -> dict[str, str]:
    """Write a cloud as .npz, .npy, .las, .laz, .ply, .pcd, .bin, .xyz, .txt or .csv, as `path` ends.

    Parameters
    ----------
    path : str or Path
    rows : CloudRows
        The columns and the points; the first three columns are x, y, z.
    like : PointReader, optional
        The source of the cloud: from a LAS file, a LAS file takes over the point format, scale and projection.
    extra : dict of arrays, optional
        Further arrays for a .npz file.

    Returns
    -------
    dict
        The new names of columns that the format made it necessary to rename, by their old names.
    """
    path = Path(path)
    kind = ending(path)
    with replacing(path) as file:
        if kind == ".npz":
            return arrays.write_npz(file, rows, extra or {})
        if kind == ".npy":
            return arrays.write_npy(file, rows)
        if kind == ".bin":
            return arrays.write_floats(file, rows, arrays.layout_of_suffix(path))
        if kind == ".ply":
            return ply.write_ply(file, rows)
        if kind == ".pcd":
            return pcd.write_pcd(file, rows)
        if kind in _TEXT:
            return text.write_text(file, rows, kind)
        return las_writer.write_las(file, rows, like, compress=kind == ".laz")


def ending(path: Path) -> str:
    """The ending of an output file; an error if it is none of `FORMATS`."""
    if path.name.lower().endswith(".copc.laz"):
        raise InputError(f"{path}: COPC is read but not written; a .laz of another name is")
    kind: str = _check.one_of("the ending of the output", path.suffix.lower(), FORMATS)
    return kind
