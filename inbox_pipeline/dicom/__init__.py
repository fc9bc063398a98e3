"""DICOM Part 10 bytes: reading headers, rewriting files, and the vocabulary both need.

Belongs here: byte layout, transfer syntaxes, character sets, digests of one file, tables about SOP classes.
Does not belong here: walking folders, SQL, decisions about requests, sessions or de-identification policy.
Needs only the standard library and pydicom; importing any module of this package does not import pydicom.
"""
