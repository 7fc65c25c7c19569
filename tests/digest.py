"""One line per case with a hash of its results: `make levels` compares them between builds for different CPU levels."""

import hashlib
import sys

import numpy as np

import fastdl
from fastdl import _kernels
from tests.cases import CASES
from tests.test_equivalence import arguments, arrays, called


def main() -> int:
    """Print what is compared, and on standard error which level it is."""
    print(_kernels.load("cpu").level(), fastdl.__file__, file=sys.stderr)
    for case in CASES:
        digest = hashlib.sha256()
        for n in case.sizes:
            args, kwargs = arguments(case, n)
            for array in arrays(called(case, args, kwargs)):
                digest.update(np.ascontiguousarray(array).tobytes())
        print(case, digest.hexdigest()[:16])
    return 0


if __name__ == "__main__":
    sys.exit(main())
