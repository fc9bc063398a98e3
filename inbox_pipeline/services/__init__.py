"""Use cases: one function each, ports in, result out.

Belongs here: what a person or a run asks the system to do. Does not belong here: HTTP, Dagster, command-line parsing,
SQL text and decisions that could be pure.
"""
