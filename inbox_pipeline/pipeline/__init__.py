"""Dagster's side of the import: the job, its sensors and schedule, launchers and workers.

Everything that imports `dagster` or `celery` lives here; the work itself lives in `services`.
"""
