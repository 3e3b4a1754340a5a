from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from holdtrue.engines.native_log import native_log
from holdtrue.errors import EngineError

PROGRAM = """
import os, sys
from pathlib import Path
from holdtrue.engines.native_log import native_log
print("before", file=sys.stderr)
with native_log(Path(sys.argv[1])):
    os.write(2, b"library line one\\n")
    print("python inside", file=sys.stderr)
    with native_log(Path(sys.argv[1] + "-second")):
        os.write(2, b"library line two\\n")
    os.write(2, b"library line three\\n")
os.write(2, b"after\\n")
with native_log(Path(sys.argv[1])):
    os.write(2, b"library line four\\n")
    print("python again", file=sys.stderr)
print("end", file=sys.stderr)
print("out")
"""


def test_the_librarys_lines_go_to_the_file_and_pythons_to_the_terminal(tmp_path: Path) -> None:
    log = tmp_path / "deep" / "run.log"
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(log)], capture_output=True, text=True, check=True
    )
    assert done.stderr.split("\n") == [
        "before",
        "python inside",
        "after",
        "python again",
        "end",
        "",
    ]
    assert done.stdout == "out\n"
    lines = log.read_text().splitlines()
    assert lines == [f"library line {n}" for n in ("one", "two", "three", "four")]
    assert not Path(f"{log}-second").exists()


def test_a_log_that_cannot_be_written_is_said_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    before = os.fstat(2)
    with (
        pytest.raises(EngineError, match="log cannot be written"),
        native_log(tmp_path / "file" / "run.log"),
    ):
        raise AssertionError("not reached")
    assert os.fstat(2).st_ino == before.st_ino
