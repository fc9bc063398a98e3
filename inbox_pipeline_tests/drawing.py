"""Text drawn into arrays of pixels, as devices draw it: a font of 5x7 dots in one value.

Belongs here: letters and drawing them. Does not belong here: data sets (`data_for_tests.py`), assertions.
"""

from __future__ import annotations

from typing import Any

import numpy as np

GLYPHS = {
    " ": "00000 00000 00000 00000 00000 00000 00000",
    "A": "01110 10001 10001 11111 10001 10001 10001",
    "E": "11111 10000 10000 11110 10000 10000 11111",
    "I": "01110 00100 00100 00100 00100 00100 01110",
    "M": "10001 11011 10101 10101 10001 10001 10001",
    "N": "10001 11001 10101 10011 10001 10001 10001",
    "O": "01110 10001 10001 10001 10001 10001 01110",
    "R": "11110 10001 10001 11110 10100 10010 10001",
    "T": "11111 00100 00100 00100 00100 00100 00100",
    "1": "00100 01100 00100 00100 00100 00100 01110",
    "3": "11110 00001 00001 01110 00001 00001 11110",
    "4": "00010 00110 01010 10010 11111 00010 00010",
    "7": "11111 00001 00010 00100 01000 01000 01000",
}


def glyph(letter: str, scale: int) -> Any:
    """Return a letter's dots, each of `scale` by `scale` pixels."""
    dots = np.array([[int(bit) for bit in row] for row in GLYPHS[letter].split()], bool)
    return dots.repeat(scale, 0).repeat(scale, 1)


def draw(frame: Any, text: str, value: int, left: int = 10, top: int = 10, scale: int = 1) -> tuple[slice, slice]:
    """Draw a line of text into a plane in place, and return the rows and columns of its box."""
    for number, letter in enumerate(text):
        dots, at = glyph(letter, scale), left + number * 6 * scale
        frame[top : top + dots.shape[0], at : at + dots.shape[1]][dots] = value
    return slice(top, top + 7 * scale), slice(left, left + (6 * len(text) - 1) * scale)


def anatomy(rows: int = 128, columns: int = 160, most: int = 1000, seed: int = 1) -> Any:
    """Return something like a slice: a bright body on nothing, blobs in it, noise everywhere; 0 to `most`."""
    y, x = np.mgrid[:rows, :columns]
    body = ((x - columns / 2) / (columns * 0.45)) ** 2 + ((y - rows / 2) / (rows * 0.45)) ** 2 < 1
    waves = 0.5 + 0.25 * np.sin(x / 9) * np.cos(y / 7)
    noise = np.random.default_rng(seed).normal(0, 0.02, (rows, columns))
    return np.rint(np.clip(body * waves + np.abs(noise), 0, 1) * most).astype(int)
