"""What type checkers know of fastdl: misspelt keywords and attributes are errors in a user's script."""

import subprocess
import sys

import pytest

SCRIPT = """
import numpy as np
import fastdl

codes = fastdl.mu_law_encode(np.zeros(10, np.int16), {dialect}="wavenet")
fit = fastdl.fit_lp([[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0], 1)
print(fit.{w}, fit.certificate.gap, codes)
"""


def check(tmp_path, **words):
    pytest.importorskip("mypy")
    path = tmp_path / "script.py"
    path.write_text(SCRIPT.format(**words))
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--follow-imports=silent",
        "--cache-dir",
        tmp_path / "cache",
        path,
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=300).stdout


def test_right_calls_pass_and_misspelt_ones_do_not(tmp_path):
    assert "Success" in check(tmp_path, dialect="dialect", w="w")
    wrong = check(tmp_path, dialect="dialekt", w="weigths")
    assert '"dialekt"' in wrong and 'did you mean "dialect"' in wrong and '"weigths"' in wrong
