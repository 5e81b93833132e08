"""Plots and pictures as data URIs, so that the page needs nothing else."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from wm_planner.evaluation.verify.section import Figure

_STYLE: dict[Any, Any] = {
    "font.size": 10,
    "svg.fonttype": "path",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e4e7ec",
    "axes.axisbelow": True,
}
_GOOD, _BAD = "#2f6fb2", "#c4572e"
_TICKS = (0.03, 0.1, 0.3, 1, 3, 10, 30, 100)  # of logarithmic axes
_COLOURS = (_GOOD, "#8a8f98", _BAD, "#3a8f5c", "#8257a5")


def curves(
    x: Sequence[float], series: Mapping[str, Sequence[float]], labels: tuple[str, str], caption: str, log: bool = False
) -> Figure:
    """Lines over x; labels are those of the axes."""
    with rc_context(_STYLE):
        canvas, axes = _canvas(6.4, 3.6)
        for (name, values), colour in zip(series.items(), _COLOURS):
            axes.plot(x, values, marker="o", markersize=3.5, label=name, color=colour)
        axes.set(xlabel=labels[0], ylabel=labels[1])
        if log:
            axes.set_yscale("log")
        axes.legend(frameon=False, ncols=2, loc="lower center", bbox_to_anchor=(0.5, 1.0))
        return _svg(canvas, caption)


def bars(values: Mapping[str, float], targets: Mapping[str, float], label: str, caption: str) -> Figure:
    """Horizontal bars from 0 to 1, each with its target as a tick where it has one."""
    with rc_context(_STYLE):
        canvas, axes = _canvas(6.4, 0.9 + 0.3 * len(values))
        names = list(values)
        axes.barh(names, [values[n] for n in names], color=_GOOD, height=0.6)
        for row, name in enumerate(names):
            beyond = max(values[name], targets.get(name, 0.0)) + 0.01
            axes.text(beyond, row, f"{values[name]:.3g}", va="center", fontsize=9)
            if name in targets:
                axes.plot([targets[name]] * 2, [row - 0.4, row + 0.4], color=_BAD, linewidth=2)
        axes.set(xlabel=label, xlim=(0.0, 1.12))
        axes.invert_yaxis()
        axes.grid(axis="y", visible=False)
        return _svg(canvas, caption)


def spread(groups: Mapping[str, np.ndarray], line: float, line_name: str, label: str, caption: str) -> Figure:
    """Every value of some groups as a dot, on a logarithmic axis, and a line."""
    with rc_context(_STYLE):
        canvas, axes = _canvas(6.4, 1.4 + 0.34 * len(groups))
        rng = np.random.default_rng(0)
        for row, values in enumerate(groups.values()):
            jitter = row + rng.uniform(-0.25, 0.25, len(values))
            axes.plot(values, jitter, ".", color=_COLOURS[row % 2], markersize=4, alpha=0.7)
        axes.axvline(line, color=_BAD, linewidth=1.5)
        axes.set_title(f"line: {line_name}", color=_BAD, fontsize=9, loc="right")
        axes.set(xlabel=label, xscale="log", yticks=range(len(groups)), yticklabels=list(groups))
        axes.set_ylim(len(groups) - 0.5, -0.5)
        axes.set_xticks(_TICKS, [f"{tick:g}" for tick in _TICKS])
        axes.minorticks_off()
        everything = np.concatenate([*groups.values(), [line]])
        axes.set_xlim(0.8 * everything.min(), 1.25 * everything.max())
        axes.grid(axis="y", visible=False)
        return _svg(canvas, caption)


def pictures(rows: Mapping[str, np.ndarray], columns: Sequence[str], caption: str, size: int = 112) -> Figure:
    """Labelled rows of images, (N, S, S, 3) uint8 each, under column titles; PNG."""
    margin, head = 84, 22
    height, width = head + size * len(rows), margin + size * len(columns)
    sheet = np.full((height, width, 3), 255, np.uint8)
    for k, title in enumerate(columns):
        _write(sheet, title, margin + size * k + 4, 15)
    for r, (name, images) in enumerate(rows.items()):
        _write(sheet, name, 2, head + size * r + size // 2)
        for k, image in enumerate(images):
            tile = cv2.resize(image, (size - 2, size - 2), interpolation=cv2.INTER_CUBIC)
            top, left = head + size * r, margin + size * k
            sheet[top : top + size - 2, left : left + size - 2] = tile
    png = cv2.imencode(".png", sheet[..., ::-1])[1].tobytes()
    return Figure("data:image/png;base64," + base64.b64encode(png).decode(), caption)


def _write(sheet: np.ndarray, text: str, x: int, y: int) -> None:
    cv2.putText(sheet, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (40, 40, 40), 1, cv2.LINE_AA)


def _canvas(width: float, height: float) -> tuple[Canvas, Axes]:
    canvas = Canvas((width, height), layout="constrained")
    return canvas, canvas.subplots()


def _svg(canvas: Canvas, caption: str) -> Figure:
    with io.BytesIO() as file:
        canvas.savefig(file, format="svg")
        data = base64.b64encode(file.getvalue()).decode()
    return Figure("data:image/svg+xml;base64," + data, caption)
