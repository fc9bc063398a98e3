"""Adapters: the inbox on disk, staging, the archive and prearchive trees, and the catalog (SQL).

Belongs here: everything that touches a file system or a database, one outward thing per module. Does not belong here:
decisions (the pure rooms) and use cases (`services`).
"""
