"""Phantom volumes in the manner of Shepp and Logan's head: ellipsoids of constant value, with noise.

Belongs here: pixel values from a recipe and a seed, the same on every machine. Does not belong here: DICOM.

Source: L. A. Shepp and B. F. Logan, "The Fourier reconstruction of a head section", IEEE Trans. Nucl. Sci. 21 (1974).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Volume = np.ndarray[Any, np.dtype[np.uint16]]

SIZE = 64
"""Rows and columns of a slice."""
NOISE_LEVELS = 16
"""The noise is uniform over this many grey values; a power of two, so that it can be masked from random bits."""


@dataclass(frozen=True)
class Ellipsoid:
    """One body: its added value, its centre and its half axes in units of half the volume's edge (x, y, z)."""

    value: int
    centre: tuple[float, float, float]
    axes: tuple[float, float, float]


HEAD = (
    Ellipsoid(1000, (0.0, 0.0, 0.0), (0.69, 0.92, 0.95)),
    Ellipsoid(-550, (0.0, -0.0184, 0.0), (0.6624, 0.874, 0.9)),
    Ellipsoid(-250, (0.22, 0.0, 0.0), (0.11, 0.31, 0.45)),
    Ellipsoid(-250, (-0.22, 0.0, 0.0), (0.16, 0.41, 0.45)),
    Ellipsoid(150, (0.0, 0.35, -0.1), (0.21, 0.25, 0.4)),
    Ellipsoid(220, (0.0, -0.1, 0.2), (0.046, 0.046, 0.2)),
    Ellipsoid(180, (-0.08, -0.605, 0.0), (0.046, 0.023, 0.3)),
)
TRUNK = (
    Ellipsoid(1024, (0.0, 0.0, 0.0), (0.9, 0.62, 4.0)),
    Ellipsoid(-800, (-0.42, -0.05, 0.3), (0.28, 0.4, 0.9)),
    Ellipsoid(-800, (0.42, -0.05, 0.3), (0.28, 0.4, 0.9)),
    Ellipsoid(60, (0.1, -0.1, 0.1), (0.18, 0.2, 0.4)),
    Ellipsoid(700, (0.0, 0.45, 0.0), (0.1, 0.1, 4.0)),
)


def volume(bodies: tuple[Ellipsoid, ...], slices: int, seed: int, gain: float = 1.0) -> Volume:
    """Return `slices` x SIZE x SIZE grey values.

    Args:
        bodies: the ellipsoids, whose values add up.
        slices: number of slices along z.
        seed: of the noise.
        gain: factor on the bodies' values, to give each series a contrast of its own.
    """
    import numpy as np  # noqa: PLC0415 - loads only where a demo is made

    axis = (np.arange(SIZE) * 2 + 1) / SIZE - 1
    z, y, x = np.meshgrid((np.arange(slices) * 2 + 1) / slices - 1, axis, axis, indexing="ij")
    grey = np.zeros((slices, SIZE, SIZE), dtype=np.int64)
    for body in bodies:
        (cx, cy, cz), (ax, ay, az) = body.centre, body.axes
        inside = ((x - cx) / ax) ** 2 + ((y - cy) / ay) ** 2 + ((z - cz) / az) ** 2 <= 1
        grey[inside] += round(body.value * gain)
    bits = np.random.PCG64(seed).random_raw(grey.size).reshape(grey.shape)
    noise = (bits & np.uint64(NOISE_LEVELS - 1)).astype(np.int64)
    stack: Volume = np.clip(grey + noise, 0, 4095).astype(np.uint16)
    return stack
