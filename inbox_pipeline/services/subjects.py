"""Subjects that people make before there are sessions of them.

Belongs here: making one, with a line in the audit trail. Does not belong here: those that an import makes
(`commit_rows.py`), and who may call (`web`).
"""

from __future__ import annotations

from sqlalchemy.engine import RowMapping

from inbox_pipeline.intake.labels import is_legal
from inbox_pipeline.intake.reasons import refusal
from inbox_pipeline.services.site import Site
from inbox_pipeline.store.catalog import commits
from inbox_pipeline.store.catalog import site as site_store


def label_of(site: Site, project: str, name: str) -> str:
    """Return the label of a project's subject of that label or accession id; the name itself if there is none.

    Raises:
        Rejected: `subject_label_illegal`.
    """
    if not is_legal(name):
        raise refusal("subject_label_illegal")
    found = find_subject(site, project, name)
    return str(found["label"]) if found is not None else name


def find_subject(site: Site, project: str, name: str) -> RowMapping | None:
    """Return a project's subject of that label or accession id, or None."""
    if not is_legal(name):
        return None
    with site.catalog.read() as connection:
        return commits.find_subject(connection, project, name)


def create_subject(site: Site, actor: str, project: str, name: str) -> tuple[str, bool]:
    """Return the accession id of a project's subject of that label or accession id, and whether it was made just now.

    Raises:
        Rejected: `subject_label_illegal`.
    """
    if not is_legal(name):
        raise refusal("subject_label_illegal")
    with site.catalog.write() as connection:
        found = commits.find_subject(connection, project, name)
        subject = found or commits.subject_for(connection, project, name)
        if found is None:
            site_store.record(connection, actor, "subject.create", subject["accession"], project=project)
    return str(subject["accession"]), found is None
