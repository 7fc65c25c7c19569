"""Rotatable scenes of points and voxels: arrays packed for the page's viewer, and a still picture as fallback."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastdl import _check
from fastdl._typing import Array
from fastdl.report.figures import as_script

#: The angles the camera begins with (radians): about the vertical, and above the ground.
TURN, TILT = -0.5, 0.6
#: How far it is from the middle, of half the widest extent.
FAR = 1.9
_STEPS = 32767
_STILL = (880, 460)  # pixels


@dataclass(frozen=True)
class Layer:
    """One selectable layer of a scene: points, or boxes of one size.

    Parameters
    ----------
    name : str
        Its name beside the viewer.
    positions : ndarray, (N, 3)
        Positions in metres; for boxes, their centres.
    values : ndarray, (N,)
        The values shown as colours, clipped to `limits` of the scene.
    size : tuple of float
        Edges of the boxes; empty for points.
    """

    name: str
    positions: Array
    values: Array
    size: tuple[float, ...] = ()


def scene(layers: Sequence[Layer], limits: tuple[float, float], unit: str, alt: str) -> str:
    """The HTML of a viewer; `limits` are the values of the darkest and the lightest colour, `unit` says of what."""
    low = np.min([layer.positions.min(axis=0, initial=np.inf) for layer in layers], axis=0)
    high = np.max([layer.positions.max(axis=0, initial=-np.inf) for layer in layers], axis=0)
    centre, reach = (low + high) / 2, float(np.max(high - low)) / 2 or 1.0
    packed = [_pack(layer, centre, reach, limits) for layer in layers]
    data = {
        "layers": packed,
        "turn": TURN,
        "tilt": TILT,
        "far": FAR,
        "palette": _palette(),
    }
    still = base64.b64encode(_still(layers[0], limits, centre, reach)).decode()
    text = html.escape(alt, quote=True)
    scale = "".join(f"<i style='background:#{c}'></i>" for c in _palette())
    return (
        f'<div class=scene><img alt="{text}" src="data:image/png;base64,{still}" width={_STILL[0]} height={_STILL[1]}>'
        f'<canvas hidden tabindex=0 role=img aria-label="{text} Arrow keys turn it, plus and minus come near and go '
        'away, 0 goes back."></canvas>'
        f"{as_script(data)}<div class=scene-bar><div class=choices hidden role=group aria-label='What is shown'></div>"
        f"<p class=scale><span>{limits[0]:g}</span><span class=ramp aria-hidden=true>{scale}</span>"
        f"<span>{limits[1]:g} {html.escape(unit)}</span></p></div>"
        "<p class=scene-help hidden>Drag to turn, pinch or scroll with Ctrl to come near; with the keyboard, arrows, "
        "+ and −.</p></div>"
    )


def _shades(values: Array, limits: tuple[float, float]) -> Array:
    span = (limits[1] - limits[0]) or 1.0
    return np.round(np.clip((np.nan_to_num(values) - limits[0]) / span, 0, 1) * 255).astype(np.uint8)


def _pack(layer: Layer, centre: Array, reach: float, limits: tuple[float, float]) -> dict[str, Any]:
    at = np.round((layer.positions - centre) / reach * _STEPS).clip(-_STEPS, _STEPS).astype("<i2")
    return {
        "name": layer.name,
        "count": len(at),
        "at": base64.b64encode(np.ascontiguousarray(at).tobytes()).decode(),
        "shade": base64.b64encode(_shades(layer.values, limits).tobytes()).decode(),
        "size": [round(edge / reach, 6) for edge in layer.size],
    }


def _palette(count: int = 16) -> list[str]:
    matplotlib = _check.extra("matplotlib", "report", "the report")
    return [matplotlib.colors.to_hex(c)[1:] for c in matplotlib.colormaps["viridis"](np.linspace(0.08, 1, count))]


def _still(layer: Layer, limits: tuple[float, float], centre: Array, reach: float) -> bytes:
    """The first layer from where the viewer's camera begins, as PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.colors import ListedColormap
    from matplotlib.figure import Figure

    x, y, z = ((layer.positions - centre) / reach).T
    right = x * np.cos(TURN) - y * np.sin(TURN)
    away = x * np.sin(TURN) + y * np.cos(TURN)
    up = z * np.cos(TILT) + away * np.sin(TILT)
    depth = away * np.cos(TILT) - z * np.sin(TILT)
    order = np.argsort(-depth)
    near = FAR / (FAR + depth[order])
    figure = Figure(figsize=(_STILL[0] / 100, _STILL[1] / 100), facecolor="none")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    colours = ListedColormap([f"#{c}" for c in _palette(64)])
    axes.scatter(
        right[order] * near, up[order] * near, c=layer.values[order], cmap=colours, s=1.2 * near**2, lw=0,
        vmin=limits[0], vmax=limits[1],
    )  # fmt: skip
    axes.set_aspect("equal")
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=100)
    return picture.getvalue()
