"""Where symbols may lie in a large picture, so that what is dear looks at parts only.

Owns the search: a matrix symbol has as many edges across as down, densely; a line of text has fewer, a picture's flat
areas none. Never decides that there is no symbol: readers also see the whole picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from vaguemestre_drivers.datamatrix.native import numpy, opencv
from vaguemestre_drivers.datamatrix.plan import PART_PIXELS, SMALL_PIXELS

if TYPE_CHECKING:
    from vaguemestre_drivers.datamatrix.native import Grey

MOST_PARTS: Final = 5
_SEARCH_SIDE: Final = 640  # pixels of the longer side of the reduced picture in which edges are counted
_WINDOW: Final = 15
_LEAST_SIDE: Final = 8  # of a candidate, in the reduced picture
_MARGIN: Final = 0.35  # around a candidate, as a part of its side


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part of a picture: where it was cut, in pixels of the picture, and its own pixels."""

    x: int
    y: int
    image: Grey


def parts(image: Grey) -> tuple[Part, ...]:
    """Return where to look, the likeliest first; the whole picture when it is small.

    Raises:
        DecoderMissing: DECODER_MISSING when OpenCV is not installed.
    """
    if image.size <= SMALL_PIXELS:
        return (Part(x=0, y=0, image=image),)
    np = numpy()
    rows, columns = image.shape
    found: list[Part] = []
    for left, top, right, bottom in _boxes(image):
        wide, high = _margin(right - left), _margin(bottom - top)
        x0, x1 = max(0, int(left - wide)), min(columns, int(right + wide))
        y0, y1 = max(0, int(top - high)), min(rows, int(bottom + high))
        if (x1 - x0) * (y1 - y0) <= PART_PIXELS:
            found.append(Part(x=x0, y=y0, image=np.ascontiguousarray(image[y0:y1, x0:x1])))
    return tuple(found[:MOST_PARTS])


def _margin(side: float) -> float:
    return max(12.0, side * _MARGIN)


def _boxes(image: Grey) -> list[tuple[float, float, float, float]]:
    cv2, np = opencv(), numpy()
    scale = max(1.0, max(image.shape) / _SEARCH_SIDE)
    small = cv2.resize(image, None, fx=1 / scale, fy=1 / scale, interpolation=cv2.INTER_AREA) if scale > 1 else image
    across = np.abs(cv2.Sobel(small, cv2.CV_32F, 1, 0, ksize=3))
    down = np.abs(cv2.Sobel(small, cv2.CV_32F, 0, 1, ksize=3))
    window = (_WINDOW, _WINDOW)
    density = np.minimum(cv2.blur(across, window), cv2.blur(down, window))
    boxes: list[tuple[float, tuple[float, float, float, float]]] = []
    # Two thresholds: a clear symbol stands out at the high one, a faded one only at the low one.
    for part in (0.5, 0.25):
        mask = (density > density.max() * part).astype(np.uint8)
        contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        for contour in contours:
            x, y, width, height = cv2.boundingRect(contour)
            if min(width, height) < _LEAST_SIDE or max(width, height) > 6 * min(width, height):
                continue
            inside = float(density[y : y + height, x : x + width].mean())
            likeness = inside * min(width, height) / max(width, height)
            boxes.append((likeness, (x * scale, y * scale, (x + width) * scale, (y + height) * scale)))
    boxes.sort(key=lambda box: -box[0])
    return [box for _, box in boxes]
