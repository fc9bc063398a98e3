"""`python -m inbox_pipeline.web`: the web process.

Belongs here: the call. Does not belong here: anything else.
"""

from __future__ import annotations

from inbox_pipeline.web.serve import main

if __name__ == "__main__":
    raise SystemExit(main())
