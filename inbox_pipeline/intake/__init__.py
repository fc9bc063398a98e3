"""Decisions, pure: request rules, identification and routing, findings, prearchive decisions, verdicts, sweeps.

Belongs here: functions from values to values. Does not belong here: files, clocks, SQL, HTTP, Dagster.
"""
