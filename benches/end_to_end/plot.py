"""Line charts as SVG, with nothing but the standard library."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from html import escape

WIDTH, HEIGHT = 800, 440
LEFT, RIGHT, TOP, BOTTOM = 76, 176, 78, 58
# Labels at the ends of lines stay this far apart.
LABEL_STEP = 16

STYLE = """
  text { font: 13px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; fill: #334155; }
  .title { font-size: 17px; font-weight: 600; fill: #0f172a; }
  .note, .tick { fill: #64748b; }
  .tick { font-size: 12px; }
  .grid { stroke: #e2e8f0; stroke-width: 1; }
  .axis { stroke: #94a3b8; stroke-width: 1; }
"""


@dataclass
class Line:
    """Points of (x, low, middle, high), from left to right."""

    label: str
    colour: str
    points: Sequence[tuple[float, float, float, float]]
    dashed: bool = False


@dataclass
class Chart:
    """The x axis is logarithmic; the y axis is if `y_log` is set, and begins at 0 otherwise."""

    title: str
    note: str
    x_label: str
    y_label: str
    x_ticks: Sequence[float]
    y_ticks: Sequence[float]
    y_log: bool = False
    lines: list[Line] = field(default_factory=list)

    def svg(self) -> str:
        x = scale(self.x_ticks[0], self.x_ticks[-1], LEFT + 14, WIDTH - RIGHT - 14, log=True)
        y = scale(self.y_ticks[0], self.y_ticks[-1], HEIGHT - BOTTOM, TOP, log=self.y_log)
        middle = (LEFT + WIDTH - RIGHT) / 2
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
            f'role="img" aria-label="{escape(self.title)}">',
            f"<style>{STYLE}</style>",
            f'<rect width="{WIDTH}" height="{HEIGHT}" rx="8" fill="#ffffff"/>',
            text(24, 32, self.title, "title"),
            text(24, 53, self.note, "note"),
            text(middle, HEIGHT - 14, self.x_label, anchor="middle"),
            f'<g transform="rotate(-90 20 {(TOP + HEIGHT - BOTTOM) / 2})">'
            + text(20, (TOP + HEIGHT - BOTTOM) / 2, self.y_label, anchor="middle")
            + "</g>",
        ]
        for tick in self.y_ticks:
            parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(tick):.1f}" y2="{y(tick):.1f}"/>')
            parts.append(text(LEFT - 8, y(tick) + 4, number(tick), "tick", "end"))
        bottom = HEIGHT - BOTTOM
        parts.append(f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{bottom}" y2="{bottom}"/>')
        for tick in self.x_ticks:
            parts.append(f'<line class="axis" x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="{bottom}" y2="{bottom + 5}"/>')
            parts.append(text(x(tick), bottom + 20, number(tick), "tick", "middle"))
        for line in self.lines:
            parts.extend(draw(line, x, y))
        parts.extend(labels(self.lines, x, y))
        return "\n".join([*parts, "</svg>", ""])


def scale(low: float, high: float, start: float, end: float, *, log: bool) -> Callable[[float], float]:
    """From values to pixels."""
    of = math.log10 if log else float
    return lambda value: start + (of(value) - of(low)) / (of(high) - of(low)) * (end - start)


def draw(line: Line, x: Callable[[float], float], y: Callable[[float], float]) -> list[str]:
    """The line through the middles, and a bar from low to high at each point."""
    path = " ".join(f"{x(at):.1f},{y(middle):.1f}" for at, _, middle, _ in line.points)
    dash = ' stroke-dasharray="6 5"' if line.dashed else ""
    parts = [f'<polyline points="{path}" fill="none" stroke="{line.colour}" stroke-width="2.5"{dash}/>']
    for at, low, middle, high in line.points:
        bar = f'x1="{x(at):.1f}" x2="{x(at):.1f}" y1="{y(low):.1f}" y2="{y(high):.1f}"'
        parts.append(f'<line {bar} stroke="{line.colour}" stroke-width="1.5" stroke-opacity="0.55"/>')
        parts.append(f'<circle cx="{x(at):.1f}" cy="{y(middle):.1f}" r="4" fill="{line.colour}"/>')
    return parts


def labels(lines: Sequence[Line], x: Callable[[float], float], y: Callable[[float], float]) -> list[str]:
    """Each line's name at its right end, moved apart where they would overlap."""
    parts, above = [], -math.inf
    for line in sorted(lines, key=lambda line: y(line.points[-1][2])):
        at, _, middle, _ = line.points[-1]
        above = max(y(middle) + 4, above + LABEL_STEP)
        parts.append(f'<text x="{x(at) + 12:.1f}" y="{above:.1f}" style="fill: {line.colour}">{escape(line.label)}</text>')
    return parts


def text(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{escape(words)}</text>'


def number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1 or value == 0 else f"{value:g}"


def ticks_up_to(value: float) -> list[float]:
    """Round numbers from 0 to the first one that is not below the value; five to nine of them."""
    power = 10.0 ** math.floor(math.log10(value))
    step = next(step * power for step in (0.1, 0.2, 0.25, 0.5, 1, 2) if value / (step * power) <= 8)
    return [step * index for index in range(math.ceil(value / step) + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """1, 3, 10, 30 and so on, around the values."""
    everything = [digit * 10.0**power for power in range(-3, 7) for digit in (1, 3)]
    first = max(tick for tick in everything if tick <= low)
    last = min(tick for tick in everything if tick >= high)
    return [tick for tick in everything if first <= tick <= last]
