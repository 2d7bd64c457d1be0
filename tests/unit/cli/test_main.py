"""The command itself."""

import os
import subprocess
import sys


def test_a_reader_that_has_enough_is_no_error() -> None:
    """As in `tidegate schema | head -1`."""
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "tidegate.cli.main", "schema"]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")
