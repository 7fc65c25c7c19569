"""fastdl encode-audio, decode-audio."""

from typing import Any


def register(commands: Any) -> None:
    del commands
