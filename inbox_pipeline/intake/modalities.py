"""The modalities that DICOM defines (PS3.3 section C.7.3.1.1.1, 2024), retired ones included.

Belongs here: the list, so that only a defined term, and no free text, is kept of (0008,0060). Does not belong here:
what XNAT calls a session of a modality (`dicom/sop_classes.py`).
"""

from __future__ import annotations

OTHER = "OT"
# fmt: off
MODALITIES = frozenset(
    (
        "ANN", "AR", "ASMT", "AU", "BDUS", "BI", "BMD", "CD", "CF", "CP", "CR", "CS", "CT", "CTPROTOCOL", "DD",
        "DF", "DG", "DM", "DMS", "DOC", "DS", "DX", "EC", "ECG", "EEG", "EMG", "EOG", "EPS", "ES", "FA", "FID",
        "FS", "GM", "HC", "HD", "IO", "IOL", "IVOCT", "IVUS", "KER", "KO", "LEN", "LP", "LS", "M3D", "MA", "MG",
        "MR", "MS", "NM", "OAM", "OCT", "OP", "OPM", "OPR", "OPT", "OPTBSV", "OPTENF", "OPV", "OSS", "OT", "PA",
        "PLAN", "POS", "PR", "PT", "PX", "REG", "RESP", "RF", "RG", "RTDOSE", "RTIMAGE", "RTINTENT", "RTPLAN",
        "RTRAD", "RTRECORD", "RTSEGANN", "RTSTRUCT", "RWV", "SEG", "SM", "SMR", "SR", "SRF", "ST", "STAIN",
        "TEXTUREMAP", "TG", "US", "VA", "VF", "XA", "XAPROTOCOL", "XC",
    )
)
# fmt: on


def known_modality(value: str | None) -> str:
    """Return the modality if it is a defined term, else `OT`."""
    term = (value or "").split("\\")[0].strip().upper()
    return term if term in MODALITIES else OTHER
