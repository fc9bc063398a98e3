"""The processes of `up`: started, watched, restarted and ended together.

This package starts Dagster's and the web's processes as children; it imports neither `dagster` nor `fastapi`.
"""
