"""fastdl demo, info, bench."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any


def register(commands: Any) -> None:
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


def run_info(options: argparse.Namespace) -> int:
    for name, value in facts().items():
        print(f"{name:<12}{value}")
    return 0


def facts() -> dict[str, str]:
    """What there is to know about this installation and machine."""
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
