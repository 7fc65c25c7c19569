"""`python -m fastdl` is `fastdl`."""

import sys

from fastdl.cli import command

if __name__ == "__main__":  # processes that a command spawns import this module again
    sys.exit(command())
