"""fastdl demo, report, info, bench."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastdl.cli._parser import Commands

if TYPE_CHECKING:
    from fastdl.streaming import ProgressEvent


def register(commands: Commands) -> None:
    demo = commands.add_parser(
        "demo",
        help="see every subject at work: writes an HTML report",
        examples=("fastdl demo", "fastdl demo --only audio points -o two.html"),
    )
    demo.add_argument(
        "-o", "--output", type=Path, default=Path("fastdl-demo.html"), help="the report (default: %(default)s)"
    )
    demo.add_argument("--only", nargs="+", metavar="CHAPTER", help="these chapters only")
    demo.set_defaults(run=run_demo)
    report = commands.add_parser(
        "report",
        help="see what is in your own files, and what fastdl makes of them: writes an HTML page",
        description="Looks into recordings, point clouds, FASTA, FASTQ and 2bit files, edge lists and tables, several "
        "kinds in one page: what is in each, what codes, voxels, windows, neighbours or fits make of it, what is left "
        "out and why. Files are streamed; of large ones pictures and fits are made of evenly drawn parts, which the "
        "page says. A file that cannot be read is named, and the others are done.",
        examples=(
            "fastdl report speech.wav scan.laz genome.fa -o look.html",
            "fastdl report houses.csv --target price",
            "fastdl report edges.csv --as graph",
        ),
    )
    report.add_argument("files", nargs="+", type=Path, metavar="FILE", help="what to look into")
    report.add_argument(
        "-o", "--output", type=Path, default=Path("fastdl-report.html"), help="the page (default: %(default)s)"
    )
    report.add_argument("--target", metavar="COLUMN", help="of tables: fit it under p = 2, 1 and 0.5, choose a degree")
    report.add_argument(
        "--as", dest="kind", choices=("audio", "points", "sequences", "graph", "table"),
        help="what the files are (default: by their names and first lines)",
    )  # fmt: skip
    report.add_argument("--quiet", action="store_true", help="print errors only")
    report.set_defaults(run=run_report)
    info = commands.add_parser("info", help="versions, kernels, CPU level, threads and memory bandwidth")
    info.set_defaults(run=run_info)
    completion = commands.add_parser(
        "completion",
        help="a script that completes commands and options in a shell",
        examples=("fastdl completion bash > ~/.local/share/bash-completion/completions/fastdl",),
    )
    completion.add_argument("shell", choices=("bash", "zsh", "tcsh"), help="which shell the script is for")
    completion.set_defaults(run=run_completion)
    bench = commands.add_parser("bench", help="compare with the reference and with peers (needs a source checkout)")
    bench.add_argument("arguments", nargs=argparse.REMAINDER, help="passed on to pytest")
    bench.set_defaults(run=run_bench)


def run_demo(options: argparse.Namespace) -> int:
    from fastdl import _check, report
    from fastdl.cli._sources import check_output

    check_output(options.output, (), reads=(), overwrite=True, make_folder=False)
    chapters = options.only or report.CHAPTERS
    for name in chapters:
        _check.one_of("--only", name, report.CHAPTERS)
    path = report.build(
        options.output, chapters, progress=lambda event: print(f"{event.details['chapter']} ...", file=sys.stderr)
    )
    print(f"wrote {path}")
    return 0


def run_report(options: argparse.Namespace) -> int:
    from fastdl.cli._progress import ProgressBar
    from fastdl.cli._sources import check_output
    from fastdl.report import inspection

    check_output(options.output, (".html", ".htm"), reads=options.files, overwrite=True, make_folder=False)
    done = 0.0
    with ProgressBar(len(options.files), "file", options.quiet, scale=False) as progress:

        def tell(event: ProgressEvent) -> None:
            nonlocal done
            progress.advance(event.done - done)
            done = event.done

        failed = inspection.build(
            options.output, options.files, target=options.target, kind=options.kind, progress=tell
        )
    for error in failed:
        print(f"fastdl: {error}", file=sys.stderr)
    if not options.quiet:
        count = len(options.files) - len(failed)
        print(
            f"wrote {options.output}: {count} file{'s' * (count != 1)}" + (f"; {len(failed)} failed" if failed else "")
        )
    return 1 if failed else 0


def run_info(options: argparse.Namespace) -> int:
    for name, value in facts().items():
        print(f"{name:<12}{value}")
    return 0


def facts() -> dict[str, str]:
    """Facts about this installation and machine, by name."""
    import platform
    from importlib import metadata

    import numpy

    from fastdl import __version__, _bandwidth, _kernels, _threads

    kernels = _kernels.built()
    missing = [stem for stem, there in kernels.items() if not there]
    cpu = _kernels.load("cpu")
    if _kernels.FORCED:
        state = "not used, FASTDL_REFERENCE=1 is set: everything runs on the NumPy reference"
    elif not missing:
        state = "compiled (" + ", ".join(kernels) + ")"
    else:
        state = f"NOT BUILT: {', '.join(missing)}; these run on the NumPy reference, as there was no working C compiler"
    versions = {"numpy": numpy.__version__, "numba": _version(metadata, "numba")}
    return {
        "fastdl": __version__,
        "python": f"{platform.python_version()} {platform.machine()} {platform.system()}",
        **versions,
        "kernels": state,
        "CPU level": cpu.level() if cpu else "none",
        "threads": f"{_threads.available()} available to this process; calls use 1 unless told, file commands all",
        "bandwidth": f"read {_bandwidth.read_bandwidth(1 << 26) / 1e9:.1f} GB/s, "
        f"copy {_bandwidth.copy_bandwidth(1 << 26) / 1e9:.1f} GB/s (read + written), one thread",
    }


def _version(metadata: Any, name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def run_completion(options: argparse.Namespace) -> int:
    from fastdl import _check
    from fastdl.cli import parser

    shtab = _check.extra("shtab", "completion", "fastdl completion")
    print(shtab.complete(parser(grouped=False), options.shell))
    return 0


def run_bench(options: argparse.Namespace) -> int:
    from fastdl import _check

    folder = Path(__file__).parents[2] / "bench"
    if not folder.is_dir():
        raise _check.FastdlError("the benchmarks are in the source repository: clone it and run `make bench`")
    pytest = _check.extra("pytest", "bench", "fastdl bench")
    return int(pytest.main([str(folder), "--rootdir", str(folder.parent), "--benchmark-quiet", *options.arguments]))
