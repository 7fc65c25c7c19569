"""One table of how to call each function and what is promised of it: for the equivalence tests, and to compare builds.

To add a kernel, add a Case to the list of its stem.
"""

from __future__ import annotations

from tests.case import Case
from tests.cases_audio import CASES_AUDIO
from tests.cases_features import CASES_FEATURES
from tests.cases_graphs import CASES_GRAPHS
from tests.cases_linear import CASES_LINEAR
from tests.cases_losses import CASES_LOSSES
from tests.cases_network import CASES_NETWORK
from tests.cases_points import CASES_POINTS
from tests.cases_selection import CASES_SELECTION
from tests.cases_sequences import CASES_SEQUENCES
from tests.cases_streams import CASES_STREAMS
from tests.cases_targets import CASES_TARGETS

CASES: list[Case] = [
    *CASES_AUDIO,
    *CASES_POINTS,
    *CASES_SEQUENCES,
    *CASES_GRAPHS,
    *CASES_LOSSES,
    *CASES_LINEAR,
    *CASES_FEATURES,
    *CASES_NETWORK,
    *CASES_TARGETS,
    *CASES_SELECTION,
    *CASES_STREAMS,
]
