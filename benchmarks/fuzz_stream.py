"""Coverage-guided fuzzing of the way of one file: crashes, hangs and memory are counted, and there must be none.

Usage: benchmarks/run fuzz-stream [SECONDS] [FOLDER]

Needs the extra `fuzz` (atheris, where it has wheels). It begins with files made for it, in every syntax, and with
headers of a sample of the files below FOLDER. Each input is read, copied, edited by the default script, and cleaned and
verified under policy basic (`inbox_pipeline_tests/services/stream_fuzz.py`). A crash is any exception but a refusal, a
hang takes over five seconds, and the process may grow by 200 MB. The first input that breaks a promise ends the run: it
stays as a file, whose folder is printed.
"""

from __future__ import annotations

import re
import resource
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

from benchmarks import _result
from benchmarks.fuzz_script import status

MOST_MEGABYTES, REAL_HEADERS = 200, 400


def fuzz(arguments: list[str]) -> None:
    """Be the fuzzer; does not return."""
    import atheris  # noqa: PLC0415 - the child alone needs it

    names = ["inbox_pipeline.dicom", "inbox_pipeline.deid", "inbox_pipeline.services.profile"]
    with atheris.instrument_imports(include=names):
        from inbox_pipeline_tests.services.stream_fuzz import one_input, seeds  # noqa: PLC0415 - to be instrumented
    warnings.simplefilter("ignore")
    for data in seeds():
        one_input(data)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024 + MOST_MEGABYTES
    atheris.Setup([sys.argv[0], *arguments, f"-rss_limit_mb={grown}"], one_input)
    atheris.Fuzz()


def write_corpus(folder: Path, real: Path | None) -> tuple[int, int]:
    """Write inputs to begin with, and pieces for the fuzzer to put in; return how many are made and how many real."""
    from inbox_pipeline_tests.services.stream_fuzz import PIECES, real_headers, seeds  # noqa: PLC0415 - not in the child

    corpus = folder / "corpus"
    corpus.mkdir()
    groups = {"made": list(seeds()), "real": list(real_headers(real, REAL_HEADERS)) if real else []}
    for group, files in groups.items():
        for number, data in enumerate(files):
            (corpus / f"{group}{number:03d}").write_bytes(data)
    pieces = ["".join(f"\\x{byte:02x}" for byte in piece) for piece in PIECES]
    (folder / "pieces").write_text("".join(f'"{piece}"\n' for piece in pieces))
    return len(groups["made"]), len(groups["real"])


def measure(seconds: int, real: Path | None) -> dict[str, Any]:
    """Fuzz for so long and return what the fuzzer says about it."""
    folder = Path(tempfile.mkdtemp(prefix="fuzz-stream-"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made, headers = write_corpus(folder, real)
    options = [f"-max_total_time={seconds}", "-max_len=65536", "-seed=1", "-timeout=60", f"-dict={folder}/pieces"]
    command = [sys.executable, "-m", "benchmarks.fuzz_stream", "child", *options, f"-artifact_prefix={folder}/"]
    log = folder / "log"
    with log.open("w") as output:
        code = subprocess.run([*command, str(folder / "corpus")], stdout=output, stderr=output, check=False).returncode
    text = log.read_text(errors="replace")
    broken = [path.name for path in folder.iterdir() if re.match("crash|timeout|oom|leak|slow", path.name)]
    hung = "Hang" in text or any(name.startswith("timeout") for name in broken)
    large = any(name.startswith("oom") for name in broken)
    if code:
        print(text[-6000:], f"\nthe input is in {folder}")
    found = {"crashes": int(code != 0 and not hung and not large), "hangs": int(hung), "too_large": int(large)}
    megabytes = re.findall(r"rss: (\d+)Mb", text)
    begun = {"made_files": made, "real_headers": headers}
    return {**status(text), "seconds": seconds, **begun, "megabytes": int(megabytes[-1]) if megabytes else 0, **found}


if __name__ == "__main__":
    if sys.argv[1:2] == ["child"]:
        fuzz(sys.argv[2:])
    given = sys.argv[1:]
    figures = measure(int(given[0]) if given else 1200, Path(given[1]) if len(given) > 1 else None)
    _result.write("fuzz-stream", figures)
    assert figures["executions"] > 0
    assert figures["crashes"] == figures["hangs"] == figures["too_large"] == 0
