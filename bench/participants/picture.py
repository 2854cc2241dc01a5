"""What a synthetic participant's camera sees: a figure in its own colour, a name, a clock, a running ball.

It draws planes of YUV 4:2:0 at 1280x720; it knows nothing of encoding. The picture is
simple on purpose: large even areas encode small, and ten people fit beside browsers on
two cores. A person at the page can tell who it is, that it moves, and how old it is.
"""

from __future__ import annotations

import colorsys
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.participants.glyphs import text

WIDTH, HEIGHT = 1280, 720
FPS = 15
SECONDS = 10
"Length of the loop. The clock in the picture counts it."
FRAMES = FPS * SECONDS

NAMES = tuple("Ada Ben Cleo Dan Eva Finn Gia Hugo Ida Jon Kim Leo Mia Nils Oda Pia".split())

Plane = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Paint:
    """One colour as BT.601 studio-range Y, U and V."""

    y: int
    u: int
    v: int


def paint(hue: float, saturation: float, value: float) -> Paint:
    """Return the colour of HSV co-ordinates, each from 0 to 1."""
    r, g, b = colorsys.hsv_to_rgb(hue % 1.0, saturation, value)
    return Paint(
        round(16 + 65.5 * r + 128.6 * g + 25.0 * b),
        round(128 - 37.8 * r - 74.2 * g + 112.0 * b),
        round(128 + 112.0 * r - 93.8 * g - 18.2 * b),
    )


def name_of(person: int) -> str:
    """Return the first name of person number `person` (from 0); after the last they repeat with a number."""
    name = NAMES[person % len(NAMES)]
    return name if person < len(NAMES) else f"{name} {person // len(NAMES) + 1}"


class Canvas:
    """Three planes, and the few strokes that a figure needs. Co-ordinates are pixels of the full picture."""

    def __init__(self, y: Plane, u: Plane, v: Plane) -> None:
        self.y, self.u, self.v = y, u, v

    def copy(self) -> Canvas:
        return Canvas(self.y.copy(), self.u.copy(), self.v.copy())

    def ellipse(self, cx: float, cy: float, rx: float, ry: float, colour: Paint) -> None:
        """Fill an ellipse, its edge one pixel soft in brightness."""
        top, bottom = max(0, int(cy - ry) - 2) & ~1, min(HEIGHT, int(cy + ry) + 3)
        left, right = max(0, int(cx - rx) - 2) & ~1, min(WIDTH, int(cx + rx) + 3)
        if top >= bottom or left >= right:
            return
        rows = (np.arange(top, bottom)[:, None] - cy) / ry
        columns = (np.arange(left, right)[None, :] - cx) / rx
        inside = np.clip((1.0 - np.sqrt(rows**2 + columns**2)) * min(rx, ry), 0.0, 1.0)
        under = self.y[top:bottom, left:right]
        under[:] = (under * (1 - inside) + colour.y * inside).astype(np.uint8)
        mask = inside[::2, ::2] > 0.5
        self._tint(top, left, mask, colour)

    def stamp(self, mask: NDArray[np.bool_], x: int, y: int, colour: Paint) -> None:
        """Fill the set pixels of `mask`, its upper left corner at (x, y), both even."""
        rows, columns = min(mask.shape[0], HEIGHT - y), min(mask.shape[1], WIDTH - x)
        mask = mask[:rows, :columns]
        self.y[y : y + rows, x : x + columns][mask] = colour.y
        self._tint(y, x, mask[::2, ::2], colour)

    def _tint(self, top: int, left: int, mask: NDArray[np.bool_], colour: Paint) -> None:
        rows, columns = mask.shape
        for plane, value in ((self.u, colour.u), (self.v, colour.v)):
            plane[top // 2 : top // 2 + rows, left // 2 : left // 2 + columns][mask] = value


def room(person: int) -> Canvas:
    """Return what does not move: the wall in the person's colour, the shoulders' place, name and number."""
    hue = (person * 0.381966) % 1.0  # the golden angle: neighbours differ most
    wall, floor = paint(hue, 0.55, 0.62), paint(hue, 0.65, 0.30)
    ramp = np.linspace(wall.y, floor.y, HEIGHT).astype(np.uint8)
    canvas = Canvas(
        np.repeat(ramp[:, None], WIDTH, axis=1),
        np.full((HEIGHT // 2, WIDTH // 2), wall.u, dtype=np.uint8),
        np.full((HEIGHT // 2, WIDTH // 2), wall.v, dtype=np.uint8),
    )
    white = paint(0, 0, 1)
    name = text(name_of(person), 12)
    canvas.stamp(name, 48, HEIGHT - 48 - name.shape[0], white)
    number = text(str(person + 1), 20)
    canvas.stamp(number, (WIDTH - 48 - number.shape[1]) & ~1, 48, paint(hue, 0.25, 0.95))
    return canvas


def draw(still: Canvas, person: int, frame: int) -> Canvas:
    """Return frame number `frame` of the person's loop over `still`, which `room` made."""
    turn = frame / FRAMES
    sway = math.sin(2 * math.pi * (3 * turn + person * 0.13))
    nod = math.sin(2 * math.pi * (5 * turn + person * 0.29))
    hue = (person * 0.381966 + 0.5) % 1.0
    canvas = still.copy()
    cx = WIDTH / 2 + 36 * sway
    coat, skin, dark = paint(hue, 0.6, 0.75), paint(0.07, 0.25 + 0.05 * (person % 5), 0.92), paint(0.07, 0.6, 0.2)
    canvas.ellipse(WIDTH / 2 + 18 * sway, HEIGHT + 60, 300, 250, coat)
    canvas.ellipse(WIDTH / 2 + 27 * sway, 470, 62, 100, skin)
    canvas.ellipse(cx, 300 + 8 * nod, 132, 164, skin)
    canvas.ellipse(cx, 182 + 8 * nod, 128, 62, paint(hue + 0.2, 0.5, 0.3))
    if frame % (2 * FPS) >= 2:  # a blink every two seconds
        for side in (-48, 48):
            canvas.ellipse(cx + side + 5 * sway, 290 + 8 * nod, 13, 17, dark)
    canvas.ellipse(cx + 6 * sway, 382 + 8 * nod, 46, 9, paint(0.0, 0.55, 0.6))
    angle = 2 * math.pi * 4 * turn
    canvas.ellipse(1080 + 90 * math.cos(angle), 420 + 90 * math.sin(angle), 26, 26, paint(hue, 0.35, 1.0))
    canvas.stamp(text(f"{frame // FPS:02d}.{frame % FPS * 10 // FPS}", 8), 48, 48, paint(0, 0, 1))
    return canvas
