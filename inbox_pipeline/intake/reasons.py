"""Every stable reason code, as one table: where it applies, what it says, and what to do next.

Belongs here: codes for refusals at the door, for requests that wait or have ended, and for rows of the ledger. Does not
belong here: the decisions that choose a code. `docs/reasons.md` is generated from this table and a test compares them.

Sentences never hold patient values; `{name}` fields are filled with ids, parameter names and counts only.
"""

from __future__ import annotations

from dataclasses import dataclass

from inbox_pipeline.errors import Rejected, Throttled

FROM_ARCHIVE = "deleted_from_archive"
"""Why a session, its files and a request are no longer what they were: somebody has deleted them in the archive."""

DISPOSITIONS = (
    "archived",
    "prearchived",
    "duplicate",
    "not_dicom",
    "excluded",
    "rejected",
    "held",
    "failed",
    "pending",
)


@dataclass(frozen=True)
class Reason:
    """One reason: its code, the HTTP status or disposition it leads to, the cause and the next step."""

    code: str
    kind: str
    sentence: str
    hint: str


def _refusals(status: int, *rows: tuple[str, str, str]) -> list[Reason]:
    return [Reason(code, str(status), sentence, hint) for code, sentence, hint in rows]


def _rows(disposition: str, *rows: tuple[str, str, str]) -> list[Reason]:
    return [Reason(code, disposition, sentence, hint) for code, sentence, hint in rows]


_ENTERING = (
    (
        "policy_differs",
        "That project demands another policy, or other options of it, than the session was imported under.",
        "Import its files into that project.",
    ),
    (
        "script_differs",
        "That project's script was not applied to the session, and under policy 'basic' no longer can be.",
        "Import its files into that project.",
    ),
    (
        "keyed_elsewhere",
        "That project has sessions of the same patient, under pseudonyms and dates of its own.",
        "Import the files into that project, so that they get the same ones.",
    ),
    (
        "identifiers_kept",
        "Files of the session still hold identifiers of the patient, and that project takes no such files.",
        "Let a script remove them, and import the files into that project.",
    ),
)
"""Why a session may not become another project's: at the door, and when the work begins."""

REFUSALS = [
    *_refusals(
        401,
        (
            "unauthenticated",
            "This address needs a user name and a password.",
            "Send Basic credentials, a JSESSIONID cookie or an alias token.",
        ),
        (
            "login_failed",
            "The user name or the password is wrong, or the account is disabled.",
            "Check both, or ask an administrator to enable the account.",
        ),
    ),
    *_refusals(
        429,
        (
            "login_throttled",
            "Too many log-ins with this name or from this address have failed; for a while none is checked.",
            "Wait the seconds of Retry-After, or ask an administrator to unlock it; sessions and tokens go on working.",
        ),
    ),
    *_refusals(
        400,
        (
            "handler_unknown",
            "The import handler must be 'inbox'.",
            "Add import-handler=inbox to the query.",
        ),
        (
            "prearchive_code_without_project",
            "prearchive_code=1 needs a project.",
            "Add PROJECT_ID, or leave prearchive_code out.",
        ),
        (
            "not_supported",
            "The parameter {name} is not supported with this value.",
            "Leave {name} out, or give it its default.",
        ),
        (
            "attribute_not_settable",
            "The attribute {name} cannot be set here.",
            "What can be set: {settable}.",
        ),
        (
            "quality_unknown",
            "A scan's quality is usable, questionable or unusable.",
            "Give one of these, or NULL to take a judgement back.",
        ),
        (
            "note_illegal",
            "The note is too long, or is not a text.",
            "Write at most 4,000 characters in UTF-8, without control characters but line ends and tabs.",
        ),
        (
            "field_unknown",
            "A field is neither a DICOM keyword nor a tag of eight hexadecimal digits.",
            "Write it as PatientID or 00100020.",
        ),
        (
            "header_too_long",
            "The file's header has too many elements to be listed.",
            "Ask for single elements with field, or download the file.",
        ),
        ("path_missing", "The parameter path is missing.", "Give the absolute path of a folder under the inbox."),
        (
            "path_outside_inbox",
            "The path does not lie under the inbox.",
            "Give the absolute path of a folder under the inbox; links that lead out of it do not count.",
        ),
        ("path_not_found", "There is nothing at that path.", "Check the path on the server."),
        (
            "inbox_project_denied",
            "The first folder below the inbox is not a project that you may edit.",
            "Put the session under <inbox>/<PROJECT>/ of a project of which you are member or owner.",
        ),
        ("project_missing", "The parameter PROJECT_ID is missing.", "Name the destination project."),
        (
            "project_denied",
            "PROJECT_ID does not name a project that you may edit.",
            "Check the project's ID, or ask its owner to make you a member.",
        ),
        (
            "subject_label_illegal",
            "SUBJECT_ID holds characters that a label cannot have, or is too long.",
            "Use letters, digits, '_' and '-', at most 200 of them.",
        ),
        (
            "session_label_illegal",
            "EXPT_LABEL holds characters that a label cannot have, or is too long.",
            "Use letters, digits, '_' and '-', at most 200 of them.",
        ),
        (
            "archive_file_not_supported",
            "An archive file of this kind cannot be opened by this installation.",
            'Install the extra "zstd" for .tar.zst, or unpack it under the inbox and import the folder.',
        ),
        (
            "path_not_a_folder",
            "The path is a file, neither a folder nor an archive file.",
            "Give the folder that holds the session, or a .zip, .tar, .tgz, .tar.gz, .tar.zst or .tar.xz.",
        ),
        (
            "folder_unreadable",
            "The server cannot read the folder or archive file.",
            "Let the server's user read it.",
        ),
        ("folder_empty", "The folder is empty.", "Wait until the files have been copied, then import it again."),
        ("parameter_invalid", "The parameter {name} cannot be used.", "Correct it."),
        ("request_malformed", "The request cannot be read.", "Check its query and body against docs/http-api.md."),
        (
            "search_invalid",
            "The search cannot be made: {fault}.",
            "Correct the document; docs/http-api.md says what can be searched for.",
        ),
        (
            "script_invalid",
            "The anonymization script does not compile: {error}",
            "Correct it at the place named; the script in force stays as it was.",
        ),
        (
            "routing_invalid",
            "Line {line} is no routing expression: {message}.",
            "Correct that line; the rules in force stay as they were.",
        ),
        (
            "lookup_invalid",
            "The lookup table cannot be read: {error}",
            "Write one entry a line as type/key = value; the table in force stays as it was.",
        ),
        ("script_missing", "There is no script in it.", "Send the text of a script."),
        ("script_not_text", "The script is not a text in UTF-8.", "Save it as UTF-8 without NUL characters."),
        (
            "label_taken_by_user",
            "The name {name} is already used.",
            "Choose another name.",
        ),
        ("name_illegal", "The name {name} cannot be used.", "Use letters, digits, '_', '-' and '.'."),
        (
            "password_weak",
            "The password is too short, one of the commonest, or the user's name.",
            "Use at least 8 characters, best several words; nothing else is asked of it.",
        ),
        (
            "oidc_not_configured",
            "No identity provider is set.",
            "Set INBOX_PIPELINE_OIDC_ISSUER and INBOX_PIPELINE_OIDC_CLIENT_ID.",
        ),
        ("settings_invalid", "A setting cannot be used.", "Correct it."),
        (
            "pixel_rules_invalid",
            "The pixel rules cannot be used: {error}",
            "Correct the line named; see docs/pixels.md.",
        ),
    ),
    *_refusals(
        403,
        ("forbidden", "You may not do that.", "Ask the project's owner or an administrator."),
        (
            "prearchive_denied",
            "There is no such project, or you may not work in its prearchive.",
            "Ask the project's owner to make you a member.",
        ),
        ("session_locked", "Somebody is working on that session already.", "Wait until that has ended."),
        (
            "oidc_failed",
            "The identity provider's answer cannot be accepted.",
            "Begin again at /login/oidc in the same browser; if it fails again, compare clocks and settings.",
        ),
        (
            "oidc_unknown",
            "This identity belongs to no user here.",
            "Ask an administrator to run inbox-pipeline user link; the audit trail has the subject.",
        ),
        (
            "prevent_anon_denied",
            "Only the project's owner and administrators may import without anonymization.",
            "Leave prevent_anon out, or ask the project's owner.",
        ),
        (
            "policy_forbids",
            "The project's policy 'basic' does not allow {name}.",
            "Leave {name} out, or import into a project with policy 'none'.",
        ),
        (
            "cross_site",
            "Another web site made the browser send this request.",
            "Send it from this server's own pages, or from a client that is not a browser.",
        ),
    ),
    *_refusals(
        404,
        (
            "routing_not_found",
            "There are no such routing expressions.",
            "They are for project, subject or session; an administrator may store some.",
        ),
        ("prearchive_session_not_found", "There is no such prearchive session.", "List /data/prearchive/projects."),
        (
            "request_not_found",
            "There is no such import request.",
            "Check the number; you see your own requests, and those of projects that you own.",
        ),
        ("not_found", "There is nothing at this address.", "Check the address."),
        ("project_not_found", "There is no such project.", "Check the project's ID."),
        (
            "deleted_not_found",
            "Nothing of that number has been deleted in this project and is still in the trash.",
            "List what has been with `inbox-pipeline trash list`.",
        ),
        ("user_not_found", "There is no such user.", "Check the name."),
        ("script_not_found", "There is no such script.", "Check the version, or store a script first."),
    ),
    *_refusals(
        405,
        ("method_not_allowed", "This address does not answer that method.", "Use a method named in the header Allow."),
    ),
    *_refusals(
        409,
        (
            "header_unreadable",
            "The file cannot be read as DICOM.",
            "Run inbox-pipeline verify: the file may be damaged.",
        ),
        (
            "session_exists",
            "A session with that label or accession id exists already.",
            "Choose another EXPT_LABEL, import without one, or add overwrite=append.",
        ),
        (
            "identity_taken",
            "This identity belongs to another user.",
            "Take it from the other one first.",
        ),
        ("request_active", "The request is still running.", "Wait for it, or cancel it."),
        ("request_final", "The request has ended already.", "Retry it, or file a new one."),
        (
            "request_withdrawn",
            "The request's sessions were withdrawn by an undo.",
            "Restore them with `inbox-pipeline undo ID --restore`, or file a new request.",
        ),
        ("nothing_to_undo", "The request has made no session that is still there.", "There is nothing to do."),
        (
            "session_joined",
            "The request has added files to a session that another request made.",
            "An undo withdraws whole sessions only; undo the request that made it, if no other added to it.",
        ),
        (
            "session_moved",
            "One of its sessions belongs to another project by now.",
            "Move it back, or let that project's people archive or delete it.",
        ),
        (
            "session_changed",
            "Another request has added files to one of its sessions, or found them there already.",
            "Leave it as it is: files of that request would go with it.",
        ),
        (
            "session_busy",
            "A request that has not ended works on the session, or has made it.",
            "Try again when it has ended, or cancel it; /xapi/dicom/list/active has it.",
        ),
        ("session_missing", "The session's files are not what the catalog says.", "Run `inbox-pipeline verify`."),
        ("not_withdrawn", "The request's sessions were not withdrawn by an undo.", "There is nothing to restore."),
        (
            "restore_too_late",
            "It has been deleted from the trash.",
            "Retention is over; file a new request for the sources.",
        ),
        (
            "place_taken",
            "By now another session has that label, or another scan that number or one of the files.",
            "Delete that one first, or undo the request that made it.",
        ),
        (
            "request_deleted",
            "The request's sessions were deleted from the archive.",
            "Restore them with `inbox-pipeline trash restore`, or file a new request.",
        ),
        ("last_scan", "The session has no other scan.", "Delete the session."),
        (
            "session_needs_files",
            "There is no such session, and none is made without files.",
            "Import its files with PROJECT_ID, SUBJECT_ID and EXPT_LABEL: POST /data/services/import.",
        ),
        ("session_deleted", "The session that it was taken from was deleted.", "Restore that session first."),
        (
            "session_relabelled",
            "The session that it was taken from has another label, subject or project since.",
            "Give the session its former ones, restore, and relabel it again.",
        ),
        (
            "project_not_empty",
            "The project has sessions in its archive or prearchive, or requests that have not ended.",
            "Delete its sessions and cancel its requests first.",
        ),
        ("nothing_to_retry", "Every file of the request has reached its destination.", "There is nothing to do."),
        (
            "label_unproven",
            "Nothing is kept by which another label could be compared with the patient's identifiers.",
            "Leave the session its labels, or import its files again under the new ones.",
        ),
        (
            "label_key_changed",
            "What is kept of the patient's identifiers was made with another secret, so no label can be compared.",
            "Put that secret.key back, leave the session its labels, or import its files again under the new ones.",
        ),
        (
            "label_identifies",
            "The {which} label holds one of the patient's own identifiers ({kind}).",
            "Choose another label.",
        ),
        *_ENTERING,
        (
            "prearchive_place_taken",
            "That project's prearchive has a session of that timestamp and label already.",
            "Archive or delete that one first.",
        ),
        (
            "subject_exists",
            "The project has another subject of that label or accession id.",
            "Choose another label, or give its sessions that subject one by one.",
        ),
        ("archive_again", "The request was to archive a prearchive session.", "Archive that session again."),
        (
            "session_state",
            "That cannot be done to a session in state {state}.",
            "Rebuild the session, or delete it.",
        ),
    ),
    *_refusals(
        413,
        (
            "body_too_large",
            "The request's body is too large.",
            "Send parameters in the query, and scripts of at most 1 MiB.",
        ),
    ),
    *_refusals(
        503,
        (
            "session_away",
            "The session's files are not at their place just now, or are not what was archived.",
            "Try again in a moment; if it stays so, run `inbox-pipeline verify`.",
        ),
    ),
]

REQUEST_ENDINGS = _rows(
    "request",
    ("complete", "Every session reached its destination.", "Nothing is left to do."),
    ("partial", "Some files or sessions did not reach their destination.", "Read the ledger for each reason."),
    ("nothing_importable", "No file could be imported.", "Read the ledger for each file's reason."),
    (
        "several_studies_one_label",
        "An explicit session label was given for files of {studies} studies.",
        "Import each study's folder by itself, or leave EXPT_LABEL out.",
    ),
    ("sessions_waiting", "No session reached its destination.", "Review the sessions that wait in the prearchive."),
    ("path_gone", "The requested folder is no longer there.", "Put it back and retry the request."),
    (
        "archive_file_not_supported",
        "An archive file of this kind cannot be opened by this installation.",
        'Install the extra "zstd" for .tar.zst wherever runs are executed, then retry.',
    ),
    ("user_gone", "The user who asked is unknown or disabled.", "Let another user file the request."),
    ("rights_gone", "The user who asked may no longer edit the project.", "Ask the project's owner."),
    (
        "policy_forbids",
        "The project's policy does not allow an import without anonymization.",
        "File a new request without prevent_anon.",
    ),
    ("project_gone", "The destination project no longer exists.", "File a new request."),
    (
        "pixel_rules_broken",
        "The site's device rules for pixels cannot be used.",
        "Run `inbox-pipeline pixels check` on HOME/pixel-rules.yaml, correct it and retry.",
    ),
    ("script_broken", "A stored anonymization script does not compile.", "Store a correct script and retry."),
    ("cancelled", "The request was cancelled.", "Retry it to import what is left."),
    (
        "withdrawn",
        "Its sessions were withdrawn by an undo.",
        "Restore them with `inbox-pipeline undo ID --restore` while the trash has them.",
    ),
    (
        FROM_ARCHIVE,
        "Its sessions were deleted from the archive.",
        "Restore them with `inbox-pipeline trash restore` while the trash has them.",
    ),
    (
        "worker_died",
        "The worker died {count} times in a row before any file was done.",
        "Look at the machine's memory and disk, then retry.",
    ),
    ("storage_failed", "The storage did not accept the files ({error}).", "Check disk space and rights, then retry."),
    ("commit_lost", "A staged session vanished before its commit.", "Check who else writes to the staging folder."),
    (
        "session_exists",
        "The project has a session of that label already.",
        "Choose another label, or say overwrite=append.",
    ),
    (
        "study_differs",
        "The session of that label is of another study.",
        "Choose another label.",
    ),
    (
        "modality_differs",
        "The session of that label is of another kind of images.",
        "Choose another label.",
    ),
    (
        "subject_differs",
        "The session of that label is of another subject.",
        "Choose another label, or that subject.",
    ),
    (
        "patient_conflict",
        "The session of that label is of another patient.",
        "Choose another label.",
    ),
    (
        "session_damaged",
        "The archived session of that label is not what the catalog says.",
        "Run `inbox-pipeline verify`, mend it, then archive this one.",
    ),
    (
        "files_exist",
        "The session of that label has some of the files already.",
        "Say overwrite_files=true or overwrite=delete to replace them.",
    ),
    ("prearchive_gone", "The prearchive session is gone.", "Import its files again."),
    (
        "archived_changed",
        "The archived session was changed, moved or withdrawn before its new labels were written.",
        "Look at it, and ask again.",
    ),
    (
        "prearchive_changed",
        "Files of the prearchive session are not what the catalog says.",
        "Run `inbox-pipeline verify`; delete the session and import its files again.",
    ),
    (
        "labels_fixed",
        "A script made other values from the labels under which the session was imported.",
        "Archive it under those labels, or import its files again under the new ones.",
    ),
    (
        "script_failed",
        "The project's script stopped at a file of the session.",
        "Correct the script, rebuild, archive.",
    ),
    ("nothing_left", "The project's script drops every file of the session.", "Correct the script, rebuild, archive."),
    *_ENTERING,
    ("internal_error", "An unexpected fault of kind {error} stopped the work.", "Report it with the request's number."),
)

WAITS = _rows(
    "waiting",
    (
        "space_for_staging",
        "The disk of the staging folder has too little free space for the request's files.",
        "Free some; the request goes on by itself.",
    ),
    (
        "space_for_catalog",
        "The disk of the catalog's database has too little free space.",
        "Free some; the request goes on by itself.",
    ),
    (
        "space_for_dagster",
        "The disk of Dagster's home has too little free space.",
        "Free some; the request goes on by itself.",
    ),
    (
        "archive_not_writable",
        "The archive or the prearchive is missing or cannot be written.",
        "Mount it, or let the server's user write to it; the request goes on by itself.",
    ),
    (
        "clock_behind",
        "The machine's clock is behind times that the audit trail holds.",
        "Set the clock; if it is right, run `inbox-pipeline site set --accept-clock`.",
    ),
    ("lock_busy", "Another request is committing a session of the same label.", "Nothing to do."),
    (
        "storage_failed",
        "The storage did not accept the files; the request tries again.",
        "Check disk space and the storage.",
    ),
    ("catalog_unavailable", "The catalog's database did not answer; the request tries again.", "Check the database."),
    ("lease_expired", "The worker died; the request goes on where it was.", "Nothing to do."),
)
"""Why a request that had begun, or could begin, is Queued: its `reason` while it waits."""

LEDGER = [
    *_rows("pending", ("waiting", "The file waits for its turn.", "Nothing to do.")),
    *_rows("archived", ("archived", "Archived; its bytes were verified when written.", "Nothing to do.")),
    *_rows(
        "prearchived",
        ("ready_for_review", "Waits in the prearchive for a person to archive it.", "Review and archive the session."),
        (
            "session_exists",
            "Waits in the prearchive: the project has a session of that label already.",
            "Choose another label when archiving, or delete the session; overwrite=append adds to the one there.",
        ),
        (
            "label_taken",
            "Waits in the prearchive: another session of this request has the same label.",
            "Choose another label when archiving.",
        ),
        (
            "patient_conflict",
            "Waits in the prearchive: its study holds files of more than one patient.",
            "Find out whose files they are, then archive or delete the session.",
        ),
        (
            "study_differs",
            "Waits in the prearchive: the project's session of that label is of another study.",
            "Choose another label when archiving, or delete the session.",
        ),
        (
            "subject_differs",
            "Waits in the prearchive: the project's session of that label is of another subject.",
            "Find out whose files they are, then archive or delete the session.",
        ),
        (
            "session_damaged",
            "Waits in the prearchive: the archived session that it would join is not what the catalog says.",
            "Run `inbox-pipeline verify`, mend that session, then archive this one.",
        ),
    ),
    *_rows(
        "duplicate",
        ("duplicate_in_request", "The same instance lies in this folder twice, byte for byte.", "Nothing to do."),
        ("duplicate_archived", "The session that it would join has it already, byte for byte.", "Nothing to do."),
    ),
    *_rows(
        "not_dicom",
        ("not_dicom", "Not a DICOM file.", "Keep it elsewhere, or attach it to the session by hand."),
        ("dicomdir", "A DICOMDIR: a disc's table of contents, not an image.", "Nothing to do."),
        ("empty_file", "The file is empty.", "If it should not be, copy it again."),
        ("apple_double", "A macOS resource fork, made by copying.", "Nothing to do."),
        ("os_litter", "A file that an operating system leaves behind.", "Nothing to do."),
        ("link_inside", "A link to something in the same folder, which is imported itself.", "Nothing to do."),
        ("special_file", "Not a regular file (socket, pipe or device).", "Remove it."),
        (
            "archive_not_opened",
            "An archive file within what was imported; only the one that a request names is opened.",
            "Import it by itself, or unpack it.",
        ),
    ),
    *_rows(
        "excluded",
        ("script_rejected", "An anonymization script dropped this instance.", "Nothing to do."),
        ("pixel_rule_exclude", "The pixel rule named drops this instance.", "Nothing to do."),
    ),
    *_rows(
        "rejected",
        ("truncated", "The file ends before its data do.", "Copy it again from its origin and retry."),
        ("unparsable", "The file claims to be DICOM but cannot be read.", "Copy it again from its origin and retry."),
        ("missing_uid", "SOP Class, SOP Instance, Study or Series Instance UID is missing.", "Repair the header."),
        (
            "uid_invalid",
            "One of its UIDs, or its transfer syntax, is no UID: digits and dots, at most 64.",
            "Repair the header.",
        ),
        (
            "sop_uid_conflict",
            "Another file has the same SOP Instance UID and other contents.",
            "Find out which one is right and import it alone.",
        ),
        ("link_leaves_folder", "A link that leads out of the requested folder.", "Copy the file itself."),
        ("link_broken", "A link to nothing, or to what cannot be reached.", "Copy the file itself."),
        (
            "several_studies_one_label",
            "An explicit session label was given for files of several studies.",
            "Import each study's folder by itself, or leave EXPT_LABEL out.",
        ),
        ("member_link", "A link in an archive file.", "Pack the file itself, not a link to it."),
        (
            "member_name_unsafe",
            "Its name in the archive file is absolute, leads out by '..' or a link, or is too long or too deep.",
            "Find out who packed it and why, then pack it anew.",
        ),
        ("member_encrypted", "It is encrypted in the archive file.", "Pack it without a password."),
        (
            "member_unsupported",
            "It is packed by a method that is not supported.",
            "Pack it with the usual method of zip (deflate), or as .tar.gz.",
        ),
        ("member_too_large", "It is larger than a member of an archive file may be (2 GiB).", "Unpack it by hand."),
        (
            "member_damaged",
            "It cannot be unpacked whole: it is cut, or its checksum is wrong.",
            "Copy the archive file again from its origin and retry.",
        ),
        (
            "archive_damaged",
            "The archive file cannot be read to its end; what was found before it is listed.",
            "Copy the archive file again from its origin and retry.",
        ),
        (
            "archive_over_limits",
            "The archive file holds more than is unpacked: too many members, or far more bytes than its own.",
            "See docs/http-api.md for the limits; unpack it by hand if it is what it should be.",
        ),
        (
            "withdrawn",
            "Its session was withdrawn by an undo.",
            "Restore it with `inbox-pipeline undo ID --restore`, or import it again.",
        ),
        ("deleted_in_review", "Its prearchive session was deleted by a reviewer.", "Import it again if needed."),
        (
            FROM_ARCHIVE,
            "Its session or scan was deleted from the archive.",
            "Restore it with `inbox-pipeline trash restore`, or import it again.",
        ),
    ),
    *_rows(
        "held",
        (
            "label_identifies",
            "A label that was chosen for its session is one of the patient's own identifiers.",
            "Choose another SUBJECT_ID or EXPT_LABEL, or leave them out for a pseudonym.",
        ),
        (
            "routing_failed",
            "A routing expression of the site, at the line named, takes too long on this file.",
            "Let an administrator correct the expression, then retry.",
        ),
        (
            "identifier_found",
            "After anonymization the file still holds one of the patient's own identifiers, in the element named.",
            "Let a script remove that element, then retry.",
        ),
        (
            "script_error",
            "The anonymization script failed on this file.",
            "Correct the script at the line named and retry.",
        ),
        (
            "script_no_effect",
            "A line of the anonymization script had nothing to assign, and scripts are strict here.",
            "Guard the line named, or switch strict-script off, and retry.",
        ),
        (
            "reference_error",
            "An element that refers to a replaced UID cannot be read.",
            "Check the file with a DICOM validator; it stays where it is.",
        ),
        (
            "anonymize_error",
            "The file could not be rewritten.",
            "Check the file with a DICOM validator; it stays where it is.",
        ),
        (
            "burned_in_risk",
            "Its kind often shows a name or a face in the image, and no rule says that this one is clean.",
            "Look at it, then write a pixel rule for the device (docs/pixels.md), or let the policy pass this kind.",
        ),
        (
            "over_limits",
            "Working on it would take more memory than is allowed for one file.",
            "Let a script remove its longest elements and retry; docs/durability.md says what the limits are.",
        ),
        (
            "took_too_long",
            "Working on it took longer than is allowed for one file of its size.",
            "Look at what is special about it; if storage was slow, retry.",
        ),
        (
            "document_not_cleaned",
            "It carries a document, a model or a sound, which cannot be cleaned.",
            "Take out by hand what identifies the patient, or leave the file out; docs/pixels.md says how it may pass.",
        ),
        (
            "pixel_rule_hold",
            "The pixel rule named holds it for a person to look at.",
            "Look at it, then change the rule and retry, or leave the file out.",
        ),
        (
            "pixel_rule_error",
            "The pixel rule named cannot be applied to it.",
            "Correct the rule (inbox-pipeline pixels explain shows which fires) and retry.",
        ),
        (
            "pixels_not_blanked",
            "A part of its pixels had to be blanked and could not be.",
            'Install the extra "pixels" for compressed images and retry; else clean it by hand.',
        ),
        (
            "text_in_pixels",
            "Its pixels seem to show text, and blanking what was found left some.",
            "Look at it, then write a pixel rule that blanks the text, or one that keeps the image, and retry.",
        ),
        (
            "kills_worker",
            "Two workers died while they worked on this file.",
            "Check the file with a DICOM validator, and the machine's memory, then retry.",
        ),
    ),
    *_rows(
        "failed",
        ("unreadable", "The file could not be read.", "Check rights and disk, then retry."),
        ("source_changed", "The file changed while it was imported.", "Wait until it is complete, then retry."),
        ("source_vanished", "The file vanished while it was imported.", "Put it back and retry."),
        ("cancelled", "The request was cancelled before this file's turn.", "Retry the request."),
        ("request_failed", "The request failed before this file's turn.", "Read the request's verdict, then retry."),
    ),
]

REASONS: dict[tuple[str, str], Reason] = {
    (reason.kind, reason.code): reason for reason in (*REFUSALS, *REQUEST_ENDINGS, *WAITS, *LEDGER)
}
"""All reasons by (kind, code); a kind is an HTTP status, `request`, `waiting`, or a disposition."""

_REFUSAL_BY_CODE = {reason.code: reason for reason in REFUSALS}
_LEDGER_BY_CODE = {reason.code: reason for reason in LEDGER}
_ENDING_BY_CODE = {reason.code: reason for reason in REQUEST_ENDINGS}
_WAIT_BY_CODE = {reason.code: reason for reason in WAITS}

LITTER = frozenset({"dicomdir", "empty_file", "apple_double", "os_litter", "link_inside"})
"""Reasons of `not_dicom` that are recognised litter: they do not make an outcome partial."""


def refusal(code: str, **fields: object) -> Rejected:
    """Return the `Rejected` for a refusal, its sentence filled with `fields`."""
    reason = _REFUSAL_BY_CODE[code]
    return Rejected(
        code, reason.sentence.format(**fields), reason.hint.format(**fields), {"status": int(reason.kind), **fields}
    )


def throttled(seconds: int) -> Throttled:
    """Return the refusal of a log-in that comes so many seconds too early."""
    reason = _REFUSAL_BY_CODE["login_throttled"]
    return Throttled(reason.code, reason.sentence, reason.hint, {"status": int(reason.kind), "retry_after": seconds})


def refusal_status(code: str) -> int:
    """Return the HTTP status of a refusal; 500 for a code that is no refusal."""
    reason = _REFUSAL_BY_CODE.get(code)
    return int(reason.kind) if reason else 500


def ending(code: str) -> Reason:
    """Return how a request's ending is described."""
    return _ENDING_BY_CODE[code]


def in_prearchive(code: str) -> Reason:
    """Return why a session waits in the prearchive, or why it could not be archived."""
    return REASONS.get(("prearchived", code)) or ending(code)


def waiting(code: str) -> Reason:
    """Return why a request waits."""
    return _WAIT_BY_CODE[code]


def disposition_of(code: str) -> str:
    """Return the disposition that a ledger reason belongs to."""
    return _LEDGER_BY_CODE[code].kind


def ledger_reason(code: str) -> Reason:
    """Return the description of a ledger reason."""
    return _LEDGER_BY_CODE[code]
