"""Point clouds of any kind: read in chunks of points, written whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fastdl import _check
from fastdl.files.atomic import replacing
from fastdl.files.points import arrays, las, pcd, ply
from fastdl.files.points.reader import PointReader
from fastdl.files.points.sorted_rows import Rows

Array = np.ndarray

#: File name endings that a folder is searched for.
SUFFIXES = (".bin", ".npy", ".npz", ".las", ".laz", ".pcd", ".ply")
#: File name endings that can be written.
FORMATS = (".npz", ".npy", ".las", ".laz", ".ply")


def open_points(path: str | Path, *, bounds: bool = True) -> PointReader:
    """A reader for LAS, LAZ, COPC, PCD, PLY, .npy, .npz, KITTI's .bin and nuScenes' .pcd.bin.

    Parameters
    ----------
    path : str or Path
        The first bytes say what it is; where they do not, its name.
    bounds : bool
        Whether points of a compressed LAS file outside the bounds in its header count as corruption.

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
        raise _check.FileError(path, "is empty", 0)
    if start[:4] == b"LASF":
        return las.LasReader(path, bounds=bounds)
    if start[:6] == b"\x93NUMPY":
        return arrays.NpyPointReader(path)
    if start[:4] == b"PK\x03\x04":
        return arrays.NpzPointReader(path)
    if start[:4].rstrip() == b"ply":
        return ply.PlyReader(path)
    if any(line.split(b"#")[0].startswith((b"VERSION", b"FIELDS", b"COLUMNS")) for line in start.splitlines()[:20]):
        return pcd.PcdReader(path)
    if name.endswith(".pcd.bin"):
        return arrays.FloatReader(path, arrays.NUSCENES)
    if name.endswith(".bin"):
        return arrays.FloatReader(path, arrays.KITTI)
    raise _check.FileError(path, "is not a cloud that can be read (LAS, LAZ, PCD, PLY, .npy, .npz, .bin, .pcd.bin)", 0)


def write_points(
    path: str | Path, rows: Rows, *, like: PointReader | None = None, extra: dict[str, Array] | None = None
) -> None:
    """Write a cloud as .npz, .npy, .las, .laz or .ply, as `path` ends.

    Parameters
    ----------
    path : str or Path
    rows : TableRows or Spool
        The columns and the points; the first three columns are x, y, z.
    like : PointReader, optional
        Where the cloud comes from: a LAS file gives a LAS file its point format, scale and projection.
    extra : dict of arrays, optional
        What a .npz file holds beside the columns.
    """
    path = Path(path)
    kind = _check.one_of("the ending of the output", path.suffix.lower(), FORMATS)
    with replacing(path) as file:
        if kind == ".npz":
            arrays.write_npz(file, rows, extra or {})
        elif kind == ".npy":
            arrays.write_npy(file, rows)
        elif kind == ".ply":
            ply.write_ply(file, rows)
        else:
            las.write_las(file, rows, like, compress=kind == ".laz")
