"""The definitions that `workspace.yaml` and the code server load, and nothing else."""

from inbox_pipeline.pipeline.build import build_defs

defs = build_defs()
