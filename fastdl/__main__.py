"""`python -m fastdl` is `fastdl`."""

import sys

from fastdl.cli import main

sys.exit(main())
