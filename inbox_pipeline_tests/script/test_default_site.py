"""The script in force for a site that has not set one."""

import pytest
from pydicom import Dataset

from inbox_pipeline.script import DEFAULT_SITE_SCRIPT, compile_script


@pytest.mark.parametrize(("project", "description"), [("Unassigned", "brain"), ("P1", "P1")])
def test_labels_replace_name_id_and_for_a_project_the_description(project: str, description: str) -> None:
    dataset = Dataset()
    dataset.StudyDescription, dataset.PatientName, dataset.PatientID = "brain", "Doe^Jane", "123"
    variables = {"project": project, "subject": "S1", "session": "S1_MR1"}
    outcome = compile_script(DEFAULT_SITE_SCRIPT).apply(dataset, variables)
    assert (dataset.StudyDescription, dataset.PatientName, dataset.PatientID) == (description, "S1", "S1_MR1")
    assert {0x00100010, 0x00100020} <= outcome.root_tags
