"""Which kinds of instance are likely to show or carry who the patient is, before any rule speaks.

Belongs here: the kinds as tables, and finding them in facts. Does not belong here: what follows (`pixel_decision.py`).
Source: PS3.4 annex B.5 for SOP classes, PS3.3 for the coded strings, and what vendors are known to write.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from inbox_pipeline.deid import pixel_facts as named
from inbox_pipeline.deid.pixel_facts import Facts

_STORAGE = "1.2.840.10008.5.1.4.1.1."


def _classes(*suffixes: str) -> frozenset[str]:
    return frozenset(_STORAGE + suffix for suffix in suffixes)


DOCUMENTS = _classes("104.1", "104.2", "104.3", "104.4", "104.5")
"""Encapsulated PDF, CDA, STL, OBJ and MTL."""
SOUNDS = _classes("9.4.1", "9.4.2")
"""Basic Voice and General Audio Waveform."""
SECONDARY_CAPTURES = _classes("7", "7.1", "7.2", "7.3", "7.4")
HARD_COPIES = frozenset({"1.2.840.10008.5.1.1.29", "1.2.840.10008.5.1.1.30"})
ULTRASOUND = _classes("3", "3.1", "6", "6.1")
ULTRASOUND_VOLUME = _classes("6.2")
PHOTOGRAPHS = _classes("77.1.4", "77.1.4.1", "77.1.7")
"""Photographic image and video, dermoscopic photography."""
ENDOSCOPY = _classes("77.1.1", "77.1.1.1")
DOSE_PLANS = _classes("481.2")

_MONOCHROME_MODALITIES = frozenset({"CT", "MR", "PT"})
_COLOURS = frozenset({"RGB", "PALETTE COLOR", "YBR_FULL", "YBR_FULL_422", "YBR_PARTIAL_420", "YBR_ICT", "YBR_RCT"})
_CAPTURED_MODALITIES = frozenset({"SC", "OT", "DOC", "HC", ""})
_DIGITIZED = frozenset({"DV", "DF", "SD", "SI", "DRW"})
"""Conversion Types of what a camera or scanner took: video, film, document, image, drawing."""
_SCREENS = re.compile(r"SCREEN[ _-]?(?:SAVE|SHOT|CAP|COPY|DUMP)|\bDOSE(?:[ _-]?(?:INFO|REPORT|PAGE))?\b|\bVOLREN\b")
_PAGES = re.compile(
    r"\bDOSE[ _-]?(?:INFO|REPORT|RECORD|SUMMARY|SHEET|PAGE)|\bPATIENT[ _-]?PROTOCOL\b|SCREEN[ _-]?(?:SAVE|SHOT|CAP)"
)
_DECISIVE = frozenset({named.SOP_CLASS, named.MODALITY, named.IMAGE_TYPE, named.CONVERSION, named.BURNED_IN})
_SLIDE_LABELS = frozenset({"LABEL", "OVERVIEW"})


class Risk(NamedTuple):
    """A kind at risk: its name, by which a policy may let it pass, the reason code and what a person is told."""

    name: str
    reason: str
    words: str
    found: Callable[[Facts], bool]


def _is_document(facts: Facts) -> bool:
    return facts.has_document or facts.text(named.SOP_CLASS) in DOCUMENTS


def _is_captured(facts: Facts) -> bool:
    return facts.text(named.SOP_CLASS) in SECONDARY_CAPTURES | HARD_COPIES or (
        facts.text(named.MODALITY) in _CAPTURED_MODALITIES and bool(facts.text(named.CONVERSION))
    )


def _is_screen(facts: Facts) -> bool:
    if facts.text(named.SOP_CLASS) in DOSE_PLANS:
        return False
    if _SCREENS.search(facts.text(named.IMAGE_TYPE)) or _is_coloured(facts):
        return True
    return _PAGES.search(facts.text(named.SERIES_DESCRIPTION)) is not None


def _is_coloured(facts: Facts) -> bool:
    """Whether a scanner's image is in colours: a rendering, a fusion or a page, drawn by a workstation."""
    return facts.text(named.MODALITY) in _MONOCHROME_MODALITIES and facts.text(named.PHOTOMETRIC) in _COLOURS


def is_ultrasound(facts: Facts) -> bool:
    """Return whether it is an image as an ultrasound device shows it."""
    sop_class = facts.text(named.SOP_CLASS)
    if sop_class in ULTRASOUND_VOLUME:
        return facts.text(named.BURNED_IN) != "NO"
    return sop_class in ULTRASOUND or facts.text(named.MODALITY) in {"US", "IVUS"}


def _is_slide_label(facts: Facts) -> bool:
    return facts.text(named.LABEL_IN_IMAGE) == "YES" or (
        facts.text(named.MODALITY) == "SM" and bool(facts.values(named.IMAGE_TYPE) & _SLIDE_LABELS)
    )


def _of(classes: frozenset[str], modality: str) -> Callable[[Facts], bool]:
    return lambda facts: facts.text(named.SOP_CLASS) in classes or facts.text(named.MODALITY) == modality


DOCUMENT_REASON, IMAGE_REASON = "document_not_cleaned", "burned_in_risk"
ULTRASOUND_RISK, ANNOTATION_RISK = "ultrasound", "annotation"
WITHOUT_PIXELS = (
    Risk("document", DOCUMENT_REASON, "an encapsulated document or model", _is_document),
    Risk("sound", DOCUMENT_REASON, "a sound recording", lambda facts: facts.text(named.SOP_CLASS) in SOUNDS),
)
WITH_PIXELS = (
    Risk(
        "unreadable", IMAGE_REASON, "an element that decides cannot be read", lambda f: bool(f.unreadable & _DECISIVE)
    ),
    Risk(ANNOTATION_RISK, IMAGE_REASON, "Burned In Annotation is YES", lambda f: f.text(named.BURNED_IN) == "YES"),
    Risk("secondary-capture", IMAGE_REASON, "a secondary capture", _is_captured),
    Risk("scan", IMAGE_REASON, "digitized film, paper or video", lambda f: f.text(named.CONVERSION) in _DIGITIZED),
    Risk("photograph", IMAGE_REASON, "a photograph", _of(PHOTOGRAPHS, "XC")),
    Risk("endoscopy", IMAGE_REASON, "an endoscope's picture", _of(ENDOSCOPY, "ES")),
    Risk("slide-label", IMAGE_REASON, "a slide with its label", _is_slide_label),
    Risk("screen", IMAGE_REASON, "a screen, a dose page or a rendering", _is_screen),
    Risk(ULTRASOUND_RISK, IMAGE_REASON, "ultrasound without regions that fit its image", is_ultrasound),
)
"""Kinds at risk, the surest first; one that is also another is named by the first."""

RISK_NAMES = tuple(risk.name for risk in (*WITHOUT_PIXELS, *WITH_PIXELS))


def risks(facts: Facts) -> list[Risk]:
    """Return the kinds at risk that an instance belongs to; what has no pixels cannot show anything."""
    kinds = (*WITHOUT_PIXELS, *WITH_PIXELS) if facts.has_pixels else WITHOUT_PIXELS
    return [risk for risk in kinds if risk.found(facts)]
