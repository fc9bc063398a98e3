"""Which statements of a script are run again when a session gets other labels."""

from __future__ import annotations

import pytest
from pydicom import Dataset

from inbox_pipeline.script import compile_script

LABELS = ("project", "subject", "session")
HEAD = 'version "6.3"\n'


def again(text: str, **values: str) -> Dataset | None:
    """Apply what is run again to a data set, under new labels; None if there is no telling."""
    part = compile_script(text).relabelling(LABELS)
    if part is None:
        return None
    dataset = Dataset()
    dataset.PatientID, dataset.PatientBirthDate, dataset.Modality = "OLD", "19700101", "MR"
    part.apply(dataset, {"project": "P", "subject": "S", "session": "E"} | values)
    return dataset


@pytest.mark.parametrize(
    "text",
    [
        HEAD + "(0010,0020) := session\n",
        HEAD + "(0010,0020) := session\n-(0010,0030)\n",
        HEAD + 'project != "Unassigned" ? (0010,0020) := session\n',
        HEAD + "label := session\n(0010,0020) := label\n",
        HEAD + "(0010,0021) := (0010,0040)\n(0010,0020) := session\n",
        "(0010,0020) := session\n-(0010,0030)\n",
    ],
)
def test_what_depends_on_labels_alone_is_run_again_and_nothing_else(text: str) -> None:
    dataset = again(text)
    assert dataset is not None
    assert dataset.PatientID == "E"
    assert dataset.PatientBirthDate == "19700101"
    assert "IssuerOfPatientID" not in dataset


@pytest.mark.parametrize("text", [HEAD + "-(0010,0030)\n", HEAD + '(0010,0020) := "X"\n', "-(0010,0030)\n"])
def test_a_script_that_uses_no_label_has_nothing_to_run_again(text: str) -> None:
    dataset = again(text)
    assert dataset is not None
    assert (dataset.PatientID, dataset.PatientBirthDate) == ("OLD", "19700101")


@pytest.mark.parametrize(
    "text",
    [
        HEAD + "(0010,0020) := concatenate[session, (0008,0060)]\n",
        HEAD + "mixed := concatenate[session, (0008,0060)]\n(0010,0020) := mixed\n",
        HEAD + '(0008,0060) = "MR" ? (0010,0020) := session\n',
        HEAD + "session = (0010,0020) ? (0010,0021) := session\n",
        HEAD + "(0010,0020) := session\n(0010,0021) := (0010,0020)\n",
        HEAD + '(0010,0020) := session\nset["0010,0021", session]\n',
        '(0008,0060) = "MR" : (0010,0020) := session\n',
    ],
)
def test_what_depends_on_elements_besides_cannot_be_told(text: str) -> None:
    assert again(text) is None
