"""The command line: one module per subject, each with register(commands); heavy imports wait until a command runs."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

#: The modules of this package, in the order of the help.
SUBJECTS = (
    "about",
    "audio",
    "points",
    "sequences",
    "graphs",
    "linear",
)


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    from fastdl import __version__

    top = argparse.ArgumentParser(
        prog="fastdl", description="The CPU side of a deep-learning pipeline, at memory speed."
    )
    top.add_argument("--version", action="version", version=f"fastdl {__version__}")
    commands = top.add_subparsers(metavar="command", required=True)
    for subject in SUBJECTS:
        importlib.import_module(f"fastdl.cli.{subject}").register(commands)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0 when all went well, 1 for an error, 2 for a wrong use, 130 after Ctrl-C."""
    from fastdl._check import FastdlError

    options = parser().parse_args(arguments)
    try:
        return options.run(options) or 0
    except FastdlError as error:
        print(f"fastdl: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"fastdl: {error.filename or ''}: {error.strerror or error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("fastdl: interrupted", file=sys.stderr)
        return 130
