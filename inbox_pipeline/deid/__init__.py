"""De-identification as pure decisions: the profile's tables, what a policy does to each element, keyed pseudonyms.

Belongs here: PS3.15 annex E as data, options, actions, replacement values. Does not belong here: reading or writing
elements, files, secrets (functions take derived keys), scripts.
Needs only the standard library, apart from the modules about pixels (pydicom, and PyYAML for rules); nothing here reads
a table before it is asked for one.

How an engine uses it:

1. Once per project: `policy = Policy.of(options)`, `pseudonyms = Pseudonyms(Keys.derived(secret.subkey, project))`.
2. Once per instance: `actions = policy.actions(sop_class_uid)` (remembered per IOD) and the patient, from PatientID,
   its issuer and the Study Instance UID; the date offset is the patient's.
3. For each element: at the root `actions.at_root(tag)`; in an item, at any depth, `actions.within(parent, tag)` with
   the tag of the sequence around it; for odd groups `actions.private(group, creator, element)`. Decide by the tag,
   never by the VR that the file states. What to do is `Action`'s documentation; an element that is empty stays so, and
   a value that cannot be treated gets the action of `Policy.of([])` at the same place.
4. Group 0002 follows `META_REMOVED`; whatever the file holds there, (0002,0003) follows the new SOP Instance UID.
5. At the end write `policy.markers()` and, one item for each, `policy.codes`.

How it is cleaned of what identifies, and searched for it:

6. Once per file, before anything is written: `IdentifierCollector.add` for every element, at any depth, whose action
   is neither Action.KEEP nor Action.TEXT, and for `KEPT_IN_THE_OPEN`; then `freeze(days)`.
7. For Action.TEXT and text of content items: `Descriptors.clean(text, identifiers)`.
8. Once per output: `Verifier(identifiers).residuals(runs)`, with all bytes but pixel data, and the name of the file.
   What may be kept, so that a later label can be compared with the patient, are the digests of `keyed.py`.
9. Once per batch: `crossfile.judge`.

What is done about pixels and documents is `pixel_decision.decide`, from facts of the original header.
"""
