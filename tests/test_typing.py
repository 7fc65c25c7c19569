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
fastdl.fit_lp([[0.0]], [1.0], method="gradient", {epochs}=3)
fastdl.gradient_descent([[0.0]], [1.0], {epochs}=3, options=fastdl.TrainingOptions({seed}=2))
fastdl.random_search([[0.0]], [1.0], 1, {seed}=2)
fastdl.fit_network(np.zeros((9, 1)), np.zeros(9), 2, {epochs}=3, progress=lambda event: print(event.loss))
fastdl.fit_network_classifier(np.zeros((9, 1)), np.arange(9) % 2, {epochs}=3)
fastdl.LearnedFeatures(3, {epochs}=3).fit(np.zeros((9, 1)), np.zeros(9))
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
    assert "Success" in check(tmp_path, dialect="dialect", w="w", epochs="epochs", seed="seed")
    wrong = check(tmp_path, dialect="dialekt", w="weigths", epochs="epoch", seed="seeds")
    assert '"dialekt"' in wrong and 'did you mean "dialect"' in wrong and '"weigths"' in wrong
    assert wrong.count('did you mean "epochs"') == 5
    assert wrong.count('did you mean "seed"') == 2
