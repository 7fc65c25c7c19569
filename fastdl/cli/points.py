"""fastdl voxelize, downsample."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from fastdl.cli import _file_jobs
from fastdl.cli._file_jobs import FileJobs, Totals
from fastdl.cli._progress import Progress

_CHUNK = 1 << 25  # bytes: a few tables of this size are in memory at once
_REDUCTIONS = ("mean", "first", "last", "nearest", "min", "max", "majority")
_UNITS = {"": 1, "B": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_LABELS = {
    "classification",
    "raw_classification",
    "class",
    "label",
    "labels",
    "semantic",
    "instance",
    "segment",
    "ring",
}
_MEASURED = {"intensity", "reflectance", "red", "green", "blue", "nir", "r", "g", "b", "scan_angle", "scan_angle_rank"}


def register(commands: Any) -> None:
    voxelize = commands.add_parser(
        "voxelize",
        help="point clouds to the voxels of a detection network",
        examples=(
            "fastdl voxelize kitti/velodyne -o voxels/ --voxel-size 0.05,0.05,0.1 --range 0,-40,-3,70.4,40,1",
            "fastdl voxelize scan.laz -o scan.npz --voxel-size 1 --range 0,0,0,500,500,100 --max-points 32",
        ),
        description="Hard voxelization, bit-equal to spconv's: a .npz of voxels, coords (zyx), counts and accounting "
        "for each cloud (LAS, LAZ, COPC, PCD, PLY, KITTI .bin, nuScenes .pcd.bin, .npy, .npz).",
    )
    _common(voxelize)
    voxelize.add_argument(
        "--range", required=True, type=_floats(6), metavar="X0,Y0,Z0,X1,Y1,Z1", help="the grid's two corners"
    )
    voxelize.add_argument("--max-points", type=int, metavar="T", help="points kept of a voxel (default: the fullest's)")
    voxelize.add_argument("--max-voxels", type=int, metavar="V", help="voxels kept (default: all)")
    voxelize.add_argument(
        "--order", choices=("first", "sorted"), default="first", help="of the voxels (default: first)"
    )
    voxelize.add_argument(
        "--columns", metavar="NAME,...", help="beside x, y, z (default: intensity, where there is one)"
    )
    voxelize.set_defaults(run=run_voxelize)
    downsample = commands.add_parser(
        "downsample",
        help="one point per voxel, with all its attributes",
        examples=(
            "fastdl downsample tiles/ -o thin/ --voxel-size 0.5",
            "fastdl downsample scan.laz -o scan.ply --voxel-size 0.1 --reduce mean,classification=majority",
        ),
        description="Reduce clouds of any size to one point per voxel: .laz, .las, .ply, .npy or .npz, as DST ends; "
        "into a folder, LAS and LAZ stay what they are and the rest becomes .ply. Coordinates, floats, intensity, "
        "colours and scan angles become the mean (rounded, for integers), classes the majority (ties: the smallest), "
        "other integers those of the voxel's first point.",
    )
    _common(downsample)
    downsample.add_argument(
        "--reduce",
        default="mean",
        metavar="HOW[,COLUMN=HOW...]",
        help=f"{', '.join(_REDUCTIONS)}; other than mean it applies to every column (default: mean)",
    )
    downsample.add_argument(
        "--origin", type=_floats(1, 3), default=[0.0], metavar="S[,S,S]", help="a corner of the voxels"
    )
    downsample.add_argument(
        "--memory", type=_bytes, default=_bytes("2GiB"), metavar="SIZE", help="for all jobs' voxels (default: 2GiB)"
    )
    downsample.set_defaults(run=run_downsample)


def _common(command: argparse.ArgumentParser) -> None:
    _file_jobs.add_arguments(command)
    # argparse takes -40,0,1 for an option unless told that it is numbers.
    command._negative_number_matcher = re.compile(r"^-[\d.][\d.,e+-]*$")
    command.add_argument("--voxel-size", required=True, type=_floats(1, 3), metavar="S[,S,S]", help="edges of a voxel")
    command.add_argument(
        "--any-bounds", action="store_true", help="read LAZ points outside the bounds their header gives, too"
    )


def _floats(*lengths: int) -> Callable[[str], list[float]]:
    def numbers(text: str) -> list[float]:
        try:
            values = [float(word) for word in text.split(",")]
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not numbers with commas between") from None
        if len(values) not in lengths:
            raise argparse.ArgumentTypeError(f"needs {' or '.join(map(str, lengths))} numbers, got {len(values)}")
        return values

    return numbers


def _bytes(text: str) -> int:
    number = text.rstrip("BiKMGTkmgtb")
    unit = text[len(number) :].upper().removesuffix("B").removesuffix("I")
    try:
        size = int(float(number) * _UNITS[unit])
    except (ValueError, KeyError, OverflowError):
        raise argparse.ArgumentTypeError(f"{text!r} is not a size such as 500MB or 2GiB") from None
    if size < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1 byte, got {text!r}")
    return size


def run_voxelize(options: argparse.Namespace) -> int:
    import numpy as np

    from fastdl import _check, voxelize
    from fastdl.files.atomic import replacing

    size, ends = _three(options.voxel_size), options.range
    settings = {"max_points": options.max_points, "max_voxels": options.max_voxels, "order": options.order}
    voxelize(np.zeros((0, 3), np.float32), size, ends, **settings)  # options that cannot be are found before any work
    wanted = options.columns.split(",") if options.columns is not None else None

    def work(source: Path, target: Path, progress: Progress) -> dict[str, int]:
        if target.suffix != ".npz":
            raise _check.InputError(f"voxels are written as .npz, got {target}")
        reader = _open(source, options)
        names = [name for name in reader.columns[3:] if name.lower() in ("intensity", "reflectance")]
        columns = [*reader.columns[:3], *(names if wanted is None else [w for w in wanted if w])]
        for name in columns:
            _check.one_of("--columns", name, reader.columns)
        single = all(reader.schema[name] == np.float32 for name in columns)
        points = _whole(reader, columns, np.float32 if single else np.float64, progress)
        found = _voxels(reader, points, size, ends, {**settings, "params": "float32" if single else "exact"})
        arrays = {name: getattr(found, name) for name in ("voxels", "coords", "counts", "true_counts", "inverse")}
        with replacing(target) as file:
            np.savez(file, **arrays, columns=np.array(columns), accounting=_record(found.accounting))
        return {**found.accounting, "voxels": len(found.coords)}

    return _run(options, FileJobs(options, _suffixes(), (".npz",), ".npz"), work)


def _voxels(reader: Any, points: Any, size: Sequence[float], ends: Sequence[float], settings: dict[str, Any]) -> Any:
    """The voxels of a whole cloud; of a LAS file by its integers, where the size is a whole multiple of their scale."""
    import numpy as np

    from fastdl import voxelize
    from fastdl.files.points.las import LasReader, lattice

    found = lattice(reader.scales, reader.offsets, size, ends[:3]) if isinstance(reader, LasReader) else None
    if found is None:
        return voxelize(points, size, ends, **settings)
    # Quotients of whole float64 numbers floor as the integers do, so the cells are exact.
    shift, step = found
    xyz = points[:, :3]
    xyz[:] = np.rint((xyz - reader.offsets) / reader.scales) + shift
    top = (np.array(ends[3:]) - ends[:3]) / reader.scales
    voxels = voxelize(points, step.astype(np.float64), [0, 0, 0, *top], **settings)
    inside = np.arange(voxels.voxels.shape[1]) < voxels.counts[:, None]
    voxels.voxels[inside, :3] = (voxels.voxels[inside, :3] - shift) * reader.scales + reader.offsets
    return voxels


def _whole(reader: Any, columns: Sequence[str], dtype: Any, progress: Progress) -> Any:
    import numpy as np

    from fastdl import _check

    try:
        points = np.empty((reader.points, len(columns)), dtype)
    except MemoryError:
        size = f"{reader.points} points with {len(columns)} columns"
        raise _check.FileError(reader.path, f"{size} do not fit in memory; downsample them first") from None
    start = 0
    for chunk in reader.chunks(_CHUNK // (8 * len(columns))):
        points[start : start + len(chunk)] = reader.table(chunk, columns, dtype)
        start += len(chunk)
        progress(len(chunk))
    return points


def run_downsample(options: argparse.Namespace) -> int:
    import numpy as np

    from fastdl import VoxelAccumulator, _check
    from fastdl.files.points.clouds import FORMATS, write_points
    from fastdl.files.points.sorted_rows import Spool
    from fastdl.streaming import run

    size, origin = _three(options.voxel_size), _three(options.origin)
    VoxelAccumulator(size, origin=origin)  # options that cannot be are found before any work
    rules = _rules(options.reduce)

    def work(source: Path, target: Path, progress: Progress) -> dict[str, int]:
        _check.one_of("the ending of the output", target.suffix.lower(), FORMATS)
        reader = _open(source, options)
        memory = max(1, options.memory // progress.workers)
        state = VoxelAccumulator(size, origin=origin, reduce=_plan(rules, reader), memory=memory)
        state.update(np.zeros((0, len(reader.columns))))  # the columns are known even where there is no point

        def prepare(chunk: Any) -> tuple[Any, Any]:
            return reader.table(chunk), reader.cells(chunk, size, origin)

        # Of a large cloud, this thread reads and groups; another one turns records into tables.
        rows = max(4096, _CHUNK // (8 * len(reader.columns)))
        run(
            reader.chunks(rows),
            prepare,
            lambda made: state.update(*made),
            executor=progress.helper if reader.points > rows else None,
            in_flight=2,
            progress=lambda event: progress(len(event.details["chunk"])),
        )
        # The voxels wait on the disk as they will be in the file; only .npz holds cells and counts, too.
        fields = reader.schema.descr
        if target.suffix.lower() == ".npz":
            fields = [*fields, ("coords", np.int64, 3), ("counts", np.int64)]
        kept = 0
        with closing(Spool(np.dtype(fields))) as spool:
            for when, *columns, counts in state.parts():
                progress(0)
                spool.add(when, *columns, counts)
                kept += int(counts.sum())
            progress(0)
            accounting = {"in": reader.points, "kept": kept, "non_finite": reader.points - kept}
            write_points(target, spool, like=reader, extra={"accounting": _record(accounting)})
            return {**accounting, "voxels": spool.count}

    def ending(source: Path) -> str:
        return source.suffix.lower() if source.suffix.lower() in (".las", ".laz") else ".ply"

    return _run(options, FileJobs(options, _suffixes(), FORMATS, ending), work)


def _rules(text: str) -> dict[str, str]:
    """The reduction of each column named, and under "" that of the others."""
    from fastdl import _check

    rules = {"": "mean"}
    for word in text.split(","):
        column, equals, name = word.rpartition("=")
        _check.one_of("--reduce", name, _REDUCTIONS)
        rules[column if equals else ""] = name
    return rules


def _plan(rules: dict[str, str], reader: Any) -> list[str]:
    """The reduction of every column of the cloud."""
    from fastdl import _check

    for column in rules:
        if column:
            _check.one_of("--reduce", column, reader.columns)
    return [
        rules.get(name) or (rules[""] if rules[""] != "mean" else _natural(name, reader.schema[name]))
        for name in reader.columns
    ]


def _natural(name: str, dtype: Any) -> str:
    """What a mean point has in this column: a mean where that means something."""
    if name.lower() in _LABELS:
        return "majority"
    return "mean" if dtype.kind == "f" or name.lower() in _MEASURED else "first"


def _open(source: Path, options: argparse.Namespace) -> Any:
    from fastdl.files.points.clouds import open_points

    return open_points(source, bounds=not options.any_bounds)


def _suffixes() -> Sequence[str]:
    from fastdl.files.points.clouds import SUFFIXES

    return SUFFIXES


def _three(numbers: Sequence[float]) -> list[float]:
    return list(numbers) * (3 // len(numbers))


def _record(accounting: dict[str, int]) -> Any:
    """A record that .npz holds: archive["accounting"]["kept"]."""
    import numpy as np

    return np.array(tuple(accounting.values()), [(name, np.int64) for name in accounting])


def _run(options: argparse.Namespace, jobs: FileJobs, work: Any) -> int:
    return jobs.run(work, _summary, unit="points", total=lambda source: _open(source, options).points)


def _summary(totals: Totals) -> str:
    names = totals.results[0].details if totals.results else {}
    sums = {name: totals.sum(name) for name in names}
    points, voxels = sums.pop("in", 0), sums.pop("voxels", 0)
    parts = [f"{number} {name.replace('_', ' ')}" for name, number in sums.items() if number or name == "kept"]
    return (
        f"{totals.files}: {points} points in, {', '.join(parts) or 'none kept'}; "
        f"{voxels} voxels in {totals.seconds:.2f} s ({totals.rate(points) / 1e6:.1f} M points/s)"
    )
