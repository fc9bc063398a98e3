"""Which XNAT data type a modality or SOP class becomes, as tables (xnat.xsd of XNAT 1.8 to 1.10).

Belongs here: names of session and scan types. Does not belong here: grouping of instances, labels, scan ids.
"""

from collections.abc import Collection

DEFAULT_SESSION_TYPE = "xnat:otherDicomSessionData"
DEFAULT_SCAN_TYPE = "xnat:otherDicomScanData"
PET_MR_SESSION_TYPE = "xnat:petmrSessionData"

_STEMS = {
    "MR": "mr",
    "PT": "pet",
    "CT": "ct",
    "NM": "nm",
    "US": "us",
    "XA": "xa",
    "RF": "rf",
    "MG": "mg",
    "DX": "dx",
    "CR": "cr",
    "IO": "io",
    "OPT": "opt",
    "OP": "op",
    "ES": "es",
    "GM": "gm",
    "SM": "sm",
    "XC": "xc",
    "ECG": "ecg",
    "EPS": "eps",
    "HD": "hd",
}
"""Modality (0008,0060) to the stem of its types. The order is that of precedence within a session."""

_RADIOTHERAPY = ("RTIMAGE", "RTDOSE", "RTPLAN", "RTSTRUCT", "RTRECORD")
_SYNONYMS = {"PET": "PT", "OCT": "OPT", "IVUS": "US"}

SESSION_TYPES = (
    {modality: f"xnat:{stem}SessionData" for modality, stem in _STEMS.items()}
    | dict.fromkeys(_RADIOTHERAPY, "xnat:rtSessionData")
    | {"SR": "xnat:srSessionData"}
)
"""Modality to session type, by descending precedence: what follows images decides only without them."""

FOLLOWING_TYPES = frozenset({"xnat:rtSessionData", "xnat:srSessionData", DEFAULT_SESSION_TYPE})
"""Session types of what follows images: plans, reports, segmentations and whatever has no type of its own."""

SCAN_TYPES = (
    {modality: f"xnat:{stem}ScanData" for modality, stem in _STEMS.items()}
    | dict.fromkeys(_RADIOTHERAPY, "xnat:rtImageScanData")
    | {"SR": "xnat:srScanData", "SEG": "xnat:segScanData", "SC": "xnat:scScanData"}
)

SCAN_TYPES_BY_SOP_CLASS = {
    "1.2.840.10008.5.1.4.1.1.7": "xnat:scScanData",
    "1.2.840.10008.5.1.4.1.1.7.1": "xnat:scScanData",
    "1.2.840.10008.5.1.4.1.1.7.2": "xnat:scScanData",
    "1.2.840.10008.5.1.4.1.1.7.3": "xnat:scScanData",
    "1.2.840.10008.5.1.4.1.1.7.4": "xnat:scScanData",
    "1.2.840.10008.5.1.4.1.1.4.2": "xnat:mrsScanData",
    "1.2.840.10008.5.1.4.1.1.13.1.1": "xnat:xa3DScanData",
    "1.2.840.10008.5.1.4.1.1.66.4": "xnat:segScanData",
    "1.2.840.10008.5.1.4.1.1.77.1.1.1": "xnat:esvScanData",
    "1.2.840.10008.5.1.4.1.1.77.1.2.1": "xnat:gmvScanData",
    "1.2.840.10008.5.1.4.1.1.77.1.4.1": "xnat:xcvScanData",
}
"""SOP classes (PS3.4 annex B.5) whose scan type the modality alone does not tell."""


def scan_type(modality: str | None, sop_class_uid: str | None) -> str:
    """The XNAT scan type of a series: by SOP class where that decides, else by modality, else the default."""
    by_class = SCAN_TYPES_BY_SOP_CLASS.get(sop_class_uid or "")
    return by_class or SCAN_TYPES.get(_plain(modality), DEFAULT_SCAN_TYPE)


def session_type(modalities: Collection[str | None]) -> str:
    """The XNAT session type of a study with these modalities.

    PT with MR is a PET/MR session; else the modality of highest precedence decides, else the default.
    """
    present = {_plain(modality) for modality in modalities}
    if present >= {"PT", "MR"}:
        return PET_MR_SESSION_TYPE
    return next((named for modality, named in SESSION_TYPES.items() if modality in present), DEFAULT_SESSION_TYPE)


def _plain(modality: str | None) -> str:
    code = (modality or "").strip().upper()
    return _SYNONYMS.get(code, code)
