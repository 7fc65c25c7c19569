"""The command line: one module per subject, each with register(commands); heavy imports wait until a command runs."""

from __future__ import annotations

import argparse
import errno
import importlib
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress

#: The modules of this package, in the order of the help.
SUBJECTS = (
    "about",
    "audio",
    "points",
    "sequences",
    "graphs",
    "linear",
)


def parser(*, grouped: bool = True) -> argparse.ArgumentParser:
    """The parser of the whole command line; with `grouped` its help lists the commands by subject."""
    from fastdl import __version__
    from fastdl.cli._parser import EXIT_CODES, Parser

    top = Parser(
        prog="fastdl",
        usage="fastdl [-h] [--version] COMMAND ...",
        description="The CPU side of a deep-learning pipeline, at memory speed.",
        epilog=f"fastdl COMMAND --help tells what a command does and shows examples.\n{EXIT_CODES}",
    )
    top.add_argument("--version", action="version", version=f"fastdl {__version__}")
    commands = top.add_subparsers(prog="fastdl", dest="command", parser_class=Parser)
    groups = []
    for subject in SUBJECTS:
        known = len(commands.choices)
        importlib.import_module(f"fastdl.cli.{subject}").register(commands)
        groups.append((subject, list(commands.choices)[known:]))
    for name, command in commands.choices.items():
        command.set_defaults(parser=command, command=name)
    if grouped:
        top.group_commands(commands, groups)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0 when all went well, 1 for an error, 2 for a wrong use, 130 after Ctrl-C."""
    from fastdl.errors import FastdlError

    top = parser()
    options = top.parse_args(arguments)
    try:
        if options.command is None:
            top.print_help()
            return 0
        return options.run(options) or 0
    except FastdlError as error:
        problem = str(error)
    except BrokenPipeError:
        raise
    except OSError as error:
        problem = f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror or error)
        if error.filename is None and error.errno == errno.ENOSPC:  # writers name the file in errors of their own
            problem = f"cannot print: {problem}"
    except KeyboardInterrupt:
        print("fastdl: interrupted", file=sys.stderr)
        return 130
    print(f"fastdl: {problem}", file=sys.stderr)
    return 1


def command() -> int:
    """The program: `main` with handlers for signals and broken streams.

    Ctrl-C, SIGTERM and SIGHUP end it at once: unfinished files are removed, and the process dies of the signal, so that
    a shell loop around it stops, too.
    """
    _die_quietly_of(signal.SIGINT)  # during imports there is nothing to remove, and no use for a traceback
    from fastdl.files import temporaries

    def stop(number: int, _: object) -> None:
        temporaries.abandon()
        with suppress(Exception):
            os.write(2, b"\nfastdl: interrupted\n" if number == signal.SIGINT else b"fastdl: terminated\n")
        _die_quietly_of(number)
        os.kill(os.getpid(), number)
        os._exit(128 + number)

    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, stop)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # print file names that the terminal cannot encode
    try:
        code = main()
        sys.stdout.flush()
    except BrokenPipeError:  # the reader, such as head, has seen enough
        code = 1
    except OSError as error:
        os.write(2, f"fastdl: cannot print: {error.strerror}\n".encode())
        code = 1
    return _leave(code)


def _leave(code: int) -> int:
    """End without printing: output that cannot be flushed must not cause a traceback at exit."""
    with suppress(Exception):
        sys.stderr.flush()
    with suppress(Exception):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return code


def _die_quietly_of(number: int) -> None:
    with suppress(ValueError, OSError):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
