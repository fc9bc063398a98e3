"""The HTTP side: XNAT's routes for clients that know XNAT, our own API, and what an operator watches.

Belongs here: reading requests, calling one use case, writing answers. Does not belong here: decisions, SQL, and
anything of Dagster; this process writes a row and answers.
"""
