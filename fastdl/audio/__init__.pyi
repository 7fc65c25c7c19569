from fastdl.audio.mu_law import G711_DIALECTS as G711_DIALECTS  # not in fastdl
from fastdl.audio.mu_law import LAWS as LAWS  # not in fastdl
from fastdl.audio.mu_law import MU_LAW_DIALECTS as MU_LAW_DIALECTS  # not in fastdl
from fastdl.audio.mu_law import g711_decode as g711_decode
from fastdl.audio.mu_law import g711_encode as g711_encode
from fastdl.audio.mu_law import mu_law_decode as mu_law_decode
from fastdl.audio.mu_law import mu_law_encode as mu_law_encode
