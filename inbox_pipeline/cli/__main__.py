"""`python -m inbox_pipeline.cli`: the command `inbox-pipeline`.

Belongs here: the call. Does not belong here: anything else.
"""

from __future__ import annotations

from inbox_pipeline.cli.app import main

if __name__ == "__main__":
    main()
