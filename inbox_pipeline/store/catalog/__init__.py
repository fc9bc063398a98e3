"""The catalog: the truth about requests, ledger, sessions, users, projects and audit.

Each module holds the queries of one subject as plain functions on a connection; `engine.py` opens the transactions.
"""
