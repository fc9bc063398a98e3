"""Whether a volume shows a face that could be made out.

Belongs here: deciding by modality, body part and descriptions. Does not belong here: removing faces, which nothing here
does.
"""

from __future__ import annotations

import re

from inbox_pipeline.deid import pixel_facts as named
from inbox_pipeline.deid.pixel_facts import Facts

FACES_NOT_REMOVED = "faces_not_removed"
"""The finding of a session whose images may show faces."""

_VOLUMES = frozenset({"CT", "MR"})
_WORDS = re.compile(r"[^\W\d_]+")
_HEAD_WORDS = frozenset(
    _WORDS.findall(
        "BRAIN CEREBRAL CEREBRUM CRANIAL CRANIUM FACE FACIAL HEAD HEADNECK IAC JAW MANDIBLE MAXILLA MPRAGE NECK NEURO "
        "NOSE ORBIT ORBITS PITUITARY SINUS SINUSES PARANASALSINUS SKULL WHOLEBODY WHOLEHEAD "
        "HIRN KOPF SCHÄDEL SCHAEDEL ENCEPHALE ENCÉPHALE CERVEAU CRANE CRÂNE TETE TÊTE CABEZA CEREBRO CRANEO CRÁNEO "
        "CERVELLO ENCEFALO TESTA HERSENEN HOOFD"
    )
)


def shows_face(facts: Facts) -> bool:
    """Return whether it is a CT or MR image of the head, or the file itself says that it shows features.

    (0028,0302) Recognizable Visual Features decides where it is there (PS3.3 section C.7.6.1), then the body part,
    then, without one, words of the descriptions. What tells nothing is not taken for a head.
    """
    stated = facts.text(named.FEATURES)
    if not facts.has_pixels or stated in {"YES", "NO"}:
        return facts.has_pixels and stated == "YES"
    if facts.text(named.MODALITY) not in _VOLUMES:
        return False
    body_part = [facts.text(path) for path in (named.BODY_PART, named.REGION_NAME, named.FRAME_REGION_NAME)]
    if any(body_part):
        return any(map(_names_head, body_part))
    return any(_names_head(facts.text(path)) for path in named.DESCRIPTIONS)


def _names_head(text: str) -> bool:
    words = _WORDS.findall(text)
    return bool(_HEAD_WORDS.intersection(words)) or "".join(words) in _HEAD_WORDS
