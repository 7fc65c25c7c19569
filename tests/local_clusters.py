"""What tests on a local cluster share: two worker processes, and the warnings of their libraries."""

import os

import pytest

MARKS = [
    pytest.mark.skipif(os.name != "posix", reason="sends signals"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
