"""Sound within the page: WAV files as data URIs."""

from __future__ import annotations

import base64
import html
import io

from fastdl._typing import Array
from fastdl.files.audio.wav import WavWriter


def player(label: str, samples: Array, rate: int) -> str:
    """A player for int16 samples, (n,) or (n, channels)."""
    file = io.BytesIO()
    writer = WavWriter(file, rate, 1 if samples.ndim == 1 else samples.shape[1])
    writer.write(samples)
    writer.finish()
    data = base64.b64encode(file.getvalue()).decode()
    name = html.escape(label, quote=True)
    return (
        f'<li><span>{name}</span><audio controls preload=metadata aria-label="{name}" '
        f'src="data:audio/wav;base64,{data}"></audio></li>'
    )
