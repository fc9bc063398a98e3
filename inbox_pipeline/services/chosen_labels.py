"""Whether a label that a person chose gives the patient away, found out before any byte is written.

Belongs here: comparing chosen labels with all identifiers of a file, and whose other files a given-away label concerns.
Does not belong here: which labels were chosen (`intake/pseudonymous.py`), how they are compared (`deid/keyed.py`),
labels that a session gets later (`new_labels.py`).
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import BinaryIO

from inbox_pipeline.deid.keyed import kinds_in, uids_in
from inbox_pipeline.dicom.elements import UNDEFINED, Layout, root_elements
from inbox_pipeline.dicom.header import LARGEST_TEXT
from inbox_pipeline.dicom.preface import read_preface
from inbox_pipeline.dicom.stretches import RootElement, Stretch
from inbox_pipeline.dicom.window import Window
from inbox_pipeline.intake.identify import Identity
from inbox_pipeline.intake.pseudonymous import chosen_labels
from inbox_pipeline.services.grouping import Row
from inbox_pipeline.services.profile import Profile, ProfilePass

GIVEN_AWAY = "label_identifies"


def identifies(identity: Identity, stream: BinaryIO, size: int, profile: Profile) -> bool:
    """Return whether a chosen label is or holds one of the identifiers of a file, in any spelling.

    Args:
        identity: the labels and the rules that found them.
        stream: the file.
        size: its length in bytes.
        profile: says what identifies under the policy.

    Raises:
        NotReadable: the file's elements cannot be walked.
    """
    chosen = chosen_labels(identity)
    if not chosen:
        return False
    window = Window(stream, size)
    preface = read_preface(stream, window)
    seen = ProfilePass(profile)
    seen.look(_stretches(preface.data_set, preface.start, preface.layout), preface.layout)
    return any(kinds_in(label, seen.label_forms) or seen.has_uid(uids_in(label)) for label in chosen)


def concerned(given_away: Iterable[Row], others: Iterable[Row]) -> dict[int, str]:
    """Return the reason to hold each other file of the studies and patients that a label gives away, by its number."""
    studies, patients = set(), set()
    for row in given_away:
        studies.add(row["study_key"])
        patients.add(row["patient_key"])
    patients.discard("")
    return {row["id"]: GIVEN_AWAY for row in others if row["study_key"] in studies or row["patient_key"] in patients}


def _stretches(window: Window, start: int, layout: Layout) -> list[Stretch]:
    """The root elements by ascending tag, each for itself."""
    found = []
    for element in root_elements(window, start, layout):
        vr = element.vr if element.vr is not None or element.length != UNDEFINED else b"SQ"
        start, length = element.value, element.value_end - element.value
        roots = [RootElement(element.tag, vr, partial(window.take, start, min(length, LARGEST_TEXT)), length)]
        found.append(Stretch((element.tag,), (), layout, elements=[element], roots=roots))
    return sorted(found, key=lambda stretch: stretch.tags[0])
