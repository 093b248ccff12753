"""Bytes of an image file → one grey picture of bounded size, or a code.

Owns the limits and the way to grey (transparent is paper, large is reduced); the header is believed for refusing, never
for accepting: what OpenCV gives is measured again. Never writes a file, never logs a content.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from vaguemestre_core.errors import InvalidInput
from vaguemestre_drivers.datamatrix.headers import Header, HeaderBroken, header
from vaguemestre_drivers.datamatrix.native import numpy, opencv

if TYPE_CHECKING:
    from vaguemestre_drivers.datamatrix.native import Grey

LEAST_SIDE: Final = 8  # pixels: the smallest symbol has ten modules a side


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageLimits:
    """What is accepted, and what is worked on.

    Attributes:
        max_bytes: of the file.
        max_pixels: of the picture in the file; an A4 page at 600 dpi has 35 million.
        max_side: pixels.
        working_pixels: above, the picture is reduced: a symbol that a person can aim at keeps enough of it.
    """

    max_bytes: int = 32 * 1024 * 1024
    max_pixels: int = 40_000_000
    max_side: int = 30_000
    working_pixels: int = 12_000_000


LIMITS: Final = ImageLimits()


def grey_image(data: bytes, limits: ImageLimits = LIMITS) -> Grey:
    """Return the picture of an image file, in grey.

    Args:
        data: the file: PNG, JPEG, WebP, BMP or TIFF (its first page).
        limits: see ``ImageLimits``.

    Raises:
        InvalidInput: ``PICTURE_TOO_LARGE`` (before decoding when the header tells it), ``PICTURE_UNSUPPORTED``
            (another format), ``PICTURE_UNREADABLE`` (cut, damaged, too small).
        DecoderMissing: DECODER_MISSING.
    """
    if len(data) > limits.max_bytes:
        raise InvalidInput("PICTURE_TOO_LARGE", limit=limits.max_bytes, unit="octets")
    try:
        told = header(data)
    except HeaderBroken as cause:
        raise InvalidInput("PICTURE_UNREADABLE") from cause
    if told is None:
        raise InvalidInput("PICTURE_UNSUPPORTED")
    _refuse(told.width, told.height, limits)
    image = _decoded(data, told)
    rows, columns = image.shape
    _refuse(columns, rows, limits)
    return reduced(image, limits.working_pixels)


def reduced(image: Grey, most_pixels: int) -> Grey:
    """Return the picture with at most that many pixels, reduced by area; unchanged when it has no more."""
    if image.size <= most_pixels:
        return image
    cv2 = opencv()
    scale = (most_pixels / image.size) ** 0.5
    rows, columns = image.shape
    size = (max(LEAST_SIDE, int(columns * scale)), max(LEAST_SIDE, int(rows * scale)))
    result: Grey = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return result


def _refuse(width: int, height: int, limits: ImageLimits) -> None:
    if width * height > limits.max_pixels or max(width, height) > limits.max_side:
        raise InvalidInput("PICTURE_TOO_LARGE", limit=limits.max_pixels, unit="pixels")
    if min(width, height) < LEAST_SIDE:
        raise InvalidInput("PICTURE_UNREADABLE")


def _decoded(data: bytes, told: Header) -> Grey:
    cv2, np = opencv(), numpy()
    flags = cv2.IMREAD_UNCHANGED if told.transparent else cv2.IMREAD_GRAYSCALE
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
        if image is not None and told.transparent:
            image = _on_paper(image)
    except (cv2.error, MemoryError) as cause:
        raise InvalidInput("PICTURE_UNREADABLE") from cause
    if image is None or image.ndim != 2 or image.dtype != np.uint8:
        raise InvalidInput("PICTURE_UNREADABLE")
    grey: Grey = np.ascontiguousarray(image)
    return grey


def _on_paper(image: Grey) -> Grey:
    """Lay a picture with transparency on white, and make it grey."""
    cv2, np = opencv(), numpy()
    if image.dtype != np.uint8:
        image = (image >> 8).astype(np.uint8)
    if image.ndim == 2:
        return image
    channels = image.shape[2]
    if channels == 3:
        result: Grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        return result
    colour = image[:, :, 0] if channels == 2 else cv2.cvtColor(image, cv2.COLOR_BGRA2GRAY)
    cover = image[:, :, channels - 1].astype(np.float32) / 255
    laid: Grey = (colour * cover + 255 * (1 - cover)).round().astype(np.uint8)
    return laid
