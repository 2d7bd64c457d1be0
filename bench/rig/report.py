"""The record: tables with ratios, the targets and whether they were met, and the machine."""

import os
import platform
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from measures.table import Table

OWN = "tidegate"


def markdown(tables: list[Table], versions: Mapping[str, str], abouts: Mapping[str, str], settings: str) -> str:
    """The whole record."""
    lines = ["# Results", "", *machine_lines(), f"- {settings}", ""]
    lines += ["Figures of one run compare with each other, not with another machine's.", ""]
    for table in tables:
        lines += table_lines(table)
    lines += ["## Programs", "", "| program | version | as measured |", "|---|---|---|"]
    lines += [f"| {name} | {version} | {abouts.get(name, '')} |" for name, version in versions.items()]
    return "\n".join(lines) + "\n"


def table_lines(table: Table) -> list[str]:
    """One table; the first column gets the ratio of this gateway to each program."""
    first = table.columns[0]
    own = table.value(OWN, first)
    head = ["program", *table.columns, f"{OWN} / it ({first})"]
    lines = [f"## {table.title}", "", f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for row in table.rows():
        cells = [row, *(figure(table.value(row, column)) for column in table.columns)]
        other = table.value(row, first)
        cells.append(f"{own / other:.2f} ×" if own and other else "–")
        lines.append(f"| {' | '.join(cells)} |")
    lines.append("")
    if table.notes:
        lines += [*(f"- {note}" for note in table.notes), ""]
    return lines


def figure(value: float | None) -> str:
    """Three digits that matter."""
    if value is None:
        return "–"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3g}"


def machine_lines() -> list[str]:
    """Date, CPU, kernel, Python."""
    model = "unknown CPU"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    memory = next(
        (int(line.split()[1]) // 1024 for line in Path("/proc/meminfo").read_text().splitlines() if "MemTotal" in line),
        0,
    )
    return [
        f"- {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {model}, {os.cpu_count()} cores, {memory:,} MB",
        f"- {platform.system()} {platform.release()}, Python {platform.python_version()}, {_wrk_version()}",
        "- gateway on core 0; upstream and load generator on core 1",
    ]


def _wrk_version() -> str:
    done = subprocess.run(["wrk", "-v"], capture_output=True, text=True, check=False)
    return " ".join((done.stdout + done.stderr).split()[:2])
