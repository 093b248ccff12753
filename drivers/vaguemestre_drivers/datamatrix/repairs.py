"""What is done to a picture before it is read again: one function a repair, each undoing one way of being spoilt.

Owns the pixels' arithmetic; when a repair is tried, and what it may cost, is in ``plan``. Grey in, grey out; the
returned scale says how many pixels of the result one pixel of the picture became.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from vaguemestre_drivers.datamatrix.native import numpy, opencv
from vaguemestre_drivers.datamatrix.plan import Repair

if TYPE_CHECKING:
    from vaguemestre_drivers.datamatrix.native import Grey

# Wiener filter: the noise that is taken for granted, as a part of the signal. Less sharpens more and rings more.
_NOISE: Final = 0.003
_BLURS_PX: Final[Mapping[Repair, float]] = {
    Repair.DEBLURRED_2: 2.5,
    Repair.DEBLURRED_3: 3.0,
    Repair.DEBLURRED_4: 4.0,
    Repair.DEBLURRED_5: 5.0,
}
_SPREAD: Final = 60.0  # grey levels of a standard deviation after evening out
_LEAST_SPREAD: Final = 2.0


def repaired(image: Grey, repair: Repair) -> tuple[Grey, float]:
    """Return the picture after a repair, and its scale.

    Raises:
        DecoderMissing: DECODER_MISSING when OpenCV is not installed.
    """
    if repair is Repair.NONE:
        return image, 1.0
    if repair in _BLURS_PX:
        return _deblurred(image, _BLURS_PX[repair]), 1.0
    if repair in (Repair.ENLARGED, Repair.ENLARGED_SHARP):
        large = _enlarged(image)
        return (_sharp(large, smooth=2.0, sigma=6.0, amount=4.0) if repair is Repair.ENLARGED_SHARP else large), 2.0
    return _SAME_SIZE[repair](image), 1.0


def _stretched(image: Grey) -> Grey:
    cv2 = opencv()
    result: Grey = cv2.normalize(image, None, 0, 255, cv2.NORM_MINMAX)
    return result


def _smooth(image: Grey, sigma: float) -> Grey:
    result: Grey = opencv().GaussianBlur(image, (0, 0), sigma)
    return result


def _inverted(image: Grey) -> Grey:
    result: Grey = opencv().bitwise_not(image)
    return result


def _normal(image: Grey) -> Grey:
    return _smooth(_stretched(image), 1.0)


def _sharp(image: Grey, *, smooth: float = 1.0, sigma: float = 3.0, amount: float = 4.0) -> Grey:
    base = _smooth(_stretched(image), smooth)
    result: Grey = opencv().addWeighted(base, 1 + amount, _smooth(base, sigma), -amount, 0)
    return result


def _enlarged(image: Grey) -> Grey:
    cv2 = opencv()
    result: Grey = cv2.resize(image, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    return result


def _morphed(image: Grey, names: tuple[str, ...], side: int) -> Grey:
    cv2, kernel = opencv(), numpy().ones((side, side), numpy().uint8)
    for name in names:
        image = cv2.morphologyEx(image, getattr(cv2, name), kernel)
    return image


def _closed(image: Grey) -> Grey:
    return _morphed(image, ("MORPH_CLOSE",), 3)


def _closed_wide(image: Grey) -> Grey:
    return _morphed(image, ("MORPH_CLOSE",), 5)


def _opened_closed(image: Grey) -> Grey:
    return _morphed(image, ("MORPH_OPEN", "MORPH_CLOSE"), 3)


def _flat(image: Grey) -> Grey:
    cv2, np = opencv(), numpy()
    side = max(3, min(image.shape) // 2) | 1
    real = image.astype(np.float32)
    mean = cv2.blur(real, (side, side))
    spread = np.sqrt(np.maximum(cv2.blur(real * real, (side, side)) - mean * mean, _LEAST_SPREAD**2))
    result: Grey = np.clip(128 + (real - mean) / spread * _SPREAD, 0, 255).astype(np.uint8)
    return result


def _deblurred(image: Grey, sigma: float) -> Grey:
    """Undo a Gaussian blur where the picture still holds something at that frequency (Wiener)."""
    cv2, np = opencv(), numpy()
    border = int(4 * sigma)
    rows, columns = image.shape
    height = cv2.getOptimalDFTSize(rows + 2 * border)
    width = cv2.getOptimalDFTSize(columns + 2 * border)
    framed = cv2.copyMakeBorder(
        _stretched(image), border, height - rows - border, border, width - columns - border, cv2.BORDER_REPLICATE
    )
    down, across = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :]
    blur = np.exp(-2 * np.pi**2 * sigma**2 * (down**2 + across**2))
    undone = np.fft.irfft2(np.fft.rfft2(framed) * blur / (blur**2 + _NOISE), (height, width))
    inner = undone[border : border + rows, border : border + columns]
    result: Grey = np.ascontiguousarray(np.clip(inner, 0, 255).astype(np.uint8))
    return result


_SAME_SIZE: Final[Mapping[Repair, Callable[[Grey], Grey]]] = {
    Repair.INVERTED: _inverted,
    Repair.NORMAL: _normal,
    Repair.SHARP: _sharp,
    Repair.CLOSED: _closed,
    Repair.CLOSED_WIDE: _closed_wide,
    Repair.OPENED_CLOSED: _opened_closed,
    Repair.FLAT: _flat,
}
