import pytest

from inbox_pipeline.dicom.sop_classes import scan_type, session_type


@pytest.mark.parametrize(
    ("modalities", "named"),
    [
        (["MR"], "xnat:mrSessionData"),
        (["CT", "PT", "SR"], "xnat:petSessionData"),
        (["MR", "PT"], "xnat:petmrSessionData"),
        (["SEG", "CT", None], "xnat:ctSessionData"),
        (["RTSTRUCT"], "xnat:rtSessionData"),
        (["SR"], "xnat:srSessionData"),
        (["OT"], "xnat:otherDicomSessionData"),
        ([], "xnat:otherDicomSessionData"),
    ],
)
def test_session_type(modalities: list[str | None], named: str) -> None:
    assert session_type(modalities) == named


@pytest.mark.parametrize(
    ("modality", "sop_class_uid", "named"),
    [
        ("mr ", None, "xnat:mrScanData"),
        ("MR", "1.2.840.10008.5.1.4.1.1.4.2", "xnat:mrsScanData"),
        ("CT", "1.2.840.10008.5.1.4.1.1.7", "xnat:scScanData"),
        ("RTDOSE", "1.2.840.10008.5.1.4.1.1.481.2", "xnat:rtImageScanData"),
        (None, None, "xnat:otherDicomScanData"),
    ],
)
def test_scan_type(modality: str | None, sop_class_uid: str | None, named: str) -> None:
    assert scan_type(modality, sop_class_uid) == named
