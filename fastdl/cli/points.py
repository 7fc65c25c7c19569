"""fastdl voxelize, downsample."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastdl.cli import _file_jobs, _parser
from fastdl.cli._file_jobs import FileJobs, Result, Totals
from fastdl.cli._job_workers import Work
from fastdl.cli._progress import ProgressBar
from fastdl.cli._sources import Source
from fastdl.errors import FastdlError, FileError

if TYPE_CHECKING:
    from fastdl._typing import Array, DTypeLike
    from fastdl.cli._cloud_downsampling import Settings
    from fastdl.files.points.reader import PointReader
    from fastdl.points.hard_voxelization import Voxels

_CHUNK = 1 << 25  # bytes read at once: a few arrays of this size are in memory


def register(commands: _parser.Commands) -> None:
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
    voxelize.add_argument("--order", choices=("first", "sorted"), default="first", help="of voxels (default: first)")
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
            "fastdl downsample tiles/ -o city.laz --voxel-size 0.5 --merge",
        ),
        description="Reduce clouds of any size to one point per voxel: .laz, .las, .ply, .pcd, .npy, .npz, .bin, .xyz, "
        ".txt or .csv, as DST ends; into a folder, LAS and LAZ stay what they are and the rest becomes .ply. "
        "Coordinates, floats, intensity, colours and scan angles become the mean (rounded, for integers), classes the "
        "majority (ties: the smallest), other integers those of the voxel's first point.",
    )
    _common(downsample)
    _downsample_options(downsample)
    downsample.set_defaults(run=run_downsample)


def _downsample_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--reduce",
        default="mean",
        metavar="HOW[,COLUMN=HOW...]",
        help="mean, first, last, nearest, min, max, majority; other than mean it is for every column (default: mean)",
    )
    command.add_argument("--columns", metavar="NAME,...", help="kept beside x, y, z (default: all)")
    command.add_argument(
        "--origin", type=_floats(1, 3), default=[0.0], metavar="S[,S,S]", help="a corner of the voxels"
    )
    command.add_argument(
        "--crop",
        type=_floats(6),
        metavar="X0,Y0,Z0,X1,Y1,Z1",
        help="only points from this corner to before that",
    )
    command.add_argument("--classes", type=_integers, metavar="N,...", help="only points of these classes")
    command.add_argument("--min-points", type=int, default=1, metavar="N", help="only voxels of at least N points")
    together = command.add_mutually_exclusive_group()
    together.add_argument("--merge", action="store_true", help="all sources into the one file DST, on one lattice")
    together.add_argument(
        "--seamless",
        action="store_true",
        help="tiles into a folder: a voxel that crosses a border is one point of the tile that comes first",
    )
    command.add_argument(
        "--max-bytes",
        type=_parser.size,
        default=_parser.size("2GiB"),
        metavar="SIZE",
        help="for all jobs' voxels (default: 2GiB)",
    )


def _common(command: argparse.ArgumentParser) -> None:
    _file_jobs.add_arguments(command)
    # argparse takes -40,0,1 for an option unless told that it is numbers.
    command._negative_number_matcher = re.compile(r"^-[\d.][\d.,e+-]*$")
    command.add_argument("--voxel-size", required=True, type=_floats(1, 3), metavar="S[,S,S]", help="edges of a voxel")
    command.add_argument(
        "--layout",
        metavar="NAME,...",
        help='columns of files that do not name them, such as x,y,z,_,ring ("_": left out)',
    )
    command.add_argument("--any-bounds", action="store_true", help="read LAZ points outside their header's bounds, too")


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


def _integers(text: str) -> list[int]:
    try:
        return [int(word) for word in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not whole numbers with commas between") from None


def run_voxelize(options: argparse.Namespace) -> int:
    import numpy as np

    from fastdl import _check, voxelize
    from fastdl.cli._cloud_columns import plain_name
    from fastdl.cli._cloud_downsampling import record
    from fastdl.files.atomic import replacing

    size, ends = _three(options.voxel_size), options.range
    settings = {"max_points": options.max_points, "max_voxels": options.max_voxels, "order": options.order}
    voxelize(np.zeros((0, 3), np.float32), size, ends, **settings)  # raises for bad options before any work
    wanted = options.columns.split(",") if options.columns is not None else None

    def work(source: Path, target: Path, progress: ProgressBar) -> dict[str, int]:
        reader = _open(source, options)
        names = [name for name in reader.columns[3:] if plain_name(name) in ("intensity", "reflectance")]
        columns = [*reader.columns[:3], *(names if wanted is None else [w for w in wanted if w])]
        for name in columns:
            if name not in reader.columns:
                raise _check.FileError(source, f"has no column {name!r}; it has {', '.join(reader.columns)}")
        single = all(reader.schema[name] == np.float32 for name in columns)
        points = _whole(reader, columns, np.float32 if single else np.float64, progress)
        found = _voxels(reader, points, size, ends, {**settings, "arithmetic": "float32" if single else "exact"})
        arrays = {name: getattr(found, name) for name in ("voxels", "coords", "counts", "true_counts", "inverse")}
        with replacing(target) as file:
            np.savez(file, **arrays, columns=np.array(columns), accounting=record(found.accounting))
        return {**found.accounting, "voxels": len(found.coords)}

    return _run(options, FileJobs(options, _suffixes(), (".npz",), ".npz"), work)


def _voxels(
    reader: PointReader, points: Array, size: Sequence[float], ends: Sequence[float], settings: dict[str, Any]
) -> Voxels:
    """The voxels of a whole cloud; for LAS files computed from the integer coordinates, which give cells exactly."""
    import numpy as np

    from fastdl import voxelize
    from fastdl.files.points.las import LasReader

    if not isinstance(reader, LasReader):
        return voxelize(points, size, ends, **settings)
    axes = reader.lattice(size, ends[:3]).axes
    if any(a.multiply * 2**31 + abs(a.shift) >= 2**53 or a.step >= 2**53 for a in axes):
        return voxelize(points, size, ends, **settings)
    # Quotients of whole float64 numbers floor as the integers do, so the cells are exact.
    multiply, shift, step = (np.array(v, np.float64) for v in zip(*((a.multiply, a.shift, a.step) for a in axes)))
    xyz = points[:, :3]
    xyz[:] = np.rint((xyz - reader.offsets) / reader.scales) * multiply + shift
    top = (np.array(ends[3:]) - ends[:3]) / reader.scales * multiply
    voxels = voxelize(points, step, [0, 0, 0, *top], **settings)
    inside = np.arange(voxels.voxels.shape[1]) < voxels.counts[:, None]
    voxels.voxels[inside, :3] = (voxels.voxels[inside, :3] - shift) / multiply * reader.scales + reader.offsets
    return voxels


def _whole(reader: PointReader, columns: Sequence[str], dtype: DTypeLike, progress: ProgressBar) -> Array:
    """Some columns of all points of a file, in memory."""
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
        progress.advance(len(chunk))
    return points


def run_downsample(options: argparse.Namespace) -> int:
    from dataclasses import replace
    from functools import partial

    import numpy as np

    from fastdl import VoxelAccumulator, _check
    from fastdl.cli import _cloud_columns
    from fastdl.cli._cloud_downsampling import Settings
    from fastdl.files.points.clouds import FORMATS, ending

    size, origin = _three(options.voxel_size), _three(options.origin)
    VoxelAccumulator(size, origin=origin)  # raises for bad options before any work
    _check.integer("--min-points", options.min_points, 1)
    crop = None if options.crop is None else np.array(options.crop).reshape(2, 3)
    if crop is not None and not (crop[0] < crop[1]).all():
        raise _check.InputError(f"--crop must rise on every axis, got {options.crop}")
    settings = Settings(
        size,
        origin,
        _cloud_columns.parse_rules(options.reduce),
        None if options.columns is None else [c for c in options.columns.split(",") if c],
        crop,
        None if options.classes is None else np.array(options.classes),
        options.min_points,
        options.max_bytes,
        partial(_open, options=options),
    )
    if options.merge or options.seamless:
        return _run_together(options, settings)

    def work(source: Path, target: Path, progress: ProgressBar) -> dict[str, Any]:
        ending(target)
        share = replace(settings, max_bytes=max(1, options.max_bytes // progress.workers))
        return _downsample([source], [target], share, progress)[0]

    def parts(source: Path) -> float:
        return source.stat().st_size if settings.open(source).borders(1 << 20) is not None else 0

    return _run(options, FileJobs(options, _suffixes(), FORMATS, _downsampled_ending), work, parts)


def _downsampled_ending(source: Path) -> str:
    return source.suffix.lower() if source.suffix.lower() in (".las", ".laz") else ".ply"


def _downsample(
    sources: Sequence[Path], targets: Sequence[Path], settings: Settings, progress: ProgressBar
) -> list[dict[str, Any]]:
    """Reduce sources together and print remarks; returns the account of every target."""
    from fastdl.cli import _cloud_exchange
    from fastdl.cli._cloud_downsampling import Reduction, open_cloud, write

    readers = [settings.open(source) for source in sources]
    cloud = open_cloud(readers, settings)
    cluster = progress.cluster
    parts = None if cluster is None else _cloud_exchange.parts_of(cloud, settings, cluster.threads)
    if parts:
        found = _cloud_exchange.downsample(cloud, settings, targets, parts, progress)
    else:
        reduction = Reduction(cloud, settings)
        reduction.run(progress)
        found = write(reduction, targets, progress)
    remarks = [f"{r.path}: {remark}" for r in readers for remark in r.remarks] + cloud.remarks
    if not progress.quiet:
        for remark in remarks:
            print(f"fastdl: {remark}", file=sys.stderr)
    return [{**accounts, "remarks": remarks} if remarks else accounts for accounts in found]


def _run_together(options: argparse.Namespace, settings: Settings) -> int:
    """Many sources into one file, or into one each, on one lattice."""
    from fastdl import _threads
    from fastdl.cli import _sources
    from fastdl.cli._cluster import cluster_of

    sources, problems = _sources.find(options.sources, _suffixes(), options.output)
    targets = _targets_together(options, sources)
    results = [Result(source, targets[0 if options.merge else k]) for k, source in enumerate(sources)]
    good = [result for result in results if _is_readable(result, settings)]
    quiet = options.quiet or options.json
    found: list[dict[str, Any]] = []
    seconds = 0.0
    with ExitStack() as stack:
        helper = stack.enter_context(ThreadPoolExecutor(1))
        total = sum(settings.open(result.source.path).points for result in good)
        progress = stack.enter_context(ProgressBar(total, "points", quiet, helper=helper))
        if options.scheduler:
            progress.cluster = stack.enter_context(cluster_of(options.scheduler, _threads.count(options.jobs)))
        while good and not found:
            paths = [r.source.path.absolute() if options.scheduler else r.source.path for r in good]
            try:
                found = _downsample(paths, [r.target for r in good][: 1 if options.merge else None], settings, progress)
            except FileError as error:
                good = _without(good, error)
        seconds = progress.seconds
    for result, accounts in zip(good, found):
        result.details = accounts
    bad = [result for result in results if result.error is not None]
    for message in (*problems, *(result.error for result in bad)):
        print(f"fastdl: {message}", file=sys.stderr)
    if options.json:
        print("\n".join(result.json() for result in (*good[: len(found)], *bad)))
    elif found and not options.quiet:
        account = {**found[0], "voxels": sum(accounts["voxels"] for accounts in found)}
        count = f"{len(good)} files together"
        failed = f"; {len(bad) + len(problems)} failed" if bad or problems else ""
        print(f"{_account(count, account, seconds)} -> {options.output}{failed}")
    return 1 if bad or problems else 0


def _targets_together(options: argparse.Namespace, sources: list[Source]) -> list[Path]:
    """The one file, or that of each source, of which none may be there without --overwrite."""
    from fastdl.cli import _sources
    from fastdl.files.points.clouds import FORMATS, ending

    paths = [source.path for source in sources]
    if options.merge:
        _sources.check_output(options.output, FORMATS, reads=paths, overwrite=options.overwrite)
        targets = [options.output]
    else:
        plan = _sources.plan(
            sources, options.output, True, _downsampled_ending, replace=lambda source, target: options.overwrite
        )
        targets = [target for _, target in plan]
        for target in targets:
            target.parent.mkdir(parents=True, exist_ok=True)
    for target in targets:
        ending(target)
    return targets


def _is_readable(result: Result, settings: Settings) -> bool:
    """Whether a source can be opened; if not, why is noted."""
    try:
        settings.open(result.source.path)
    except FastdlError as error:
        result.error = str(error)
    return result.error is None


def _without(results: list[Result], error: FileError) -> list[Result]:
    """Those but the file of an error, which is noted: the others are reduced again without it."""
    left = [r for r in results if r.source.path.absolute() != Path(str(error.path)).absolute()]
    if len(left) == len(results):
        raise error
    for result in results:
        if result not in left:
            result.error = str(error)
    return left


def _open(source: Path, options: argparse.Namespace) -> PointReader:
    from fastdl.files.points.clouds import open_points

    layout = options.layout.split(",") if options.layout else None
    return open_points(source, bounds=not options.any_bounds, layout=layout)


def _suffixes() -> Sequence[str]:
    from fastdl.files.points.clouds import SUFFIXES

    return SUFFIXES


def _three(numbers: Sequence[float]) -> list[float]:
    return list(numbers) * (3 // len(numbers))


def _run(options: argparse.Namespace, jobs: FileJobs, work: Work, parts: Callable[[Path], float] | None = None) -> int:
    return jobs.run(work, _summary, unit="points", total=lambda source: _open(source, options).points, parts=parts)


def _summary(totals: Totals) -> str:
    names = [name for name in (totals.results[0].details if totals.results else {}) if name != "remarks"]
    return _account(totals.files, {name: totals.sum(name) for name in names}, totals.seconds)


def _account(files: str, sums: dict[str, Any], seconds: float) -> str:
    """The account of all points, in one line."""
    sums = {name: number for name, number in sums.items() if name != "remarks"}
    points, voxels = sums.pop("in", 0), sums.pop("voxels", 0)
    parts = [f"{number} {name.replace('_', ' ')}" for name, number in sums.items() if number or name == "kept"]
    return (
        f"{files}: {points} points in, {', '.join(parts) or 'none kept'}; "
        f"{voxels} voxels in {seconds:.2f} s ({points / max(seconds, 1e-9) / 1e6:.1f} M points/s)"
    )
