"""Install the `dev` dependency group of pyproject.toml into the running interpreter's environment.

pip reads dependency groups by itself only from 25.1 on; this keeps the one list in pyproject.toml on any pip.
"""

import subprocess
import sys
import tomllib
from pathlib import Path

groups = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())["dependency-groups"]
subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", *groups["dev"]], check=True)
