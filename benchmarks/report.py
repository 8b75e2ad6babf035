"""Tables for people: Markdown on standard output, and with `--write` in a section of `benchmarks/README.md`."""

import datetime
import hashlib
import os
import platform
import re
import statistics
import sys
from pathlib import Path

README = Path(__file__).with_name("README.md")


def table(header, rows):
    """A Markdown table; numbers to the right, the first column to the left."""
    lines = [header, ["---", *["--:"] * (len(header) - 1)], *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def ratio(values, others):
    """Median and range of `values` as parts of `others`, taken in the same rounds."""
    parts = [value / other for value, other in zip(values, others, strict=True)]
    return f"{statistics.median(parts):.2f} ({min(parts):.2f}-{max(parts):.2f})"


def machine():
    """The processor and its cores in a few words."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    flags = next((line.split() for line in lines if line.startswith("flags")), [])
    vectors = " (AVX-512)" if "avx512f" in flags else " (AVX2)" if "avx2" in flags else ""
    return f"{len(os.sched_getaffinity(0))} cores of {names[0] if names else platform.machine()}{vectors}, no GPU used"


def provenance(folder, module, arguments):
    """Where, when, by which command and of which weights the figures below it are."""
    command = " ".join(["python -m", module, *(Path(a).name if Path(a).is_absolute() else a for a in arguments)])
    weights = hashlib.sha256((Path(folder) / "model.safetensors").read_bytes()).hexdigest()
    return (
        f"`{command}`, {datetime.date.today()}, {machine()}, Python {platform.python_version()}; "
        f"weights_sha256 `{weights[:12]}`."
    )


def publish(section, text, write):
    """Print `text`; with `write` put it between the README's markers for `section` as well."""
    print(text)
    if not write:
        return
    readme = README.read_text(encoding="utf-8")
    begin, end = f"<!-- begin {section} -->", f"<!-- end {section} -->"
    if begin not in readme or end not in readme:
        sys.exit(f"{README} has no place for this table: it lacks the lines {begin} and {end}")
    place = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    README.write_text(place.sub(lambda _: f"{begin}\n{text}\n{end}", readme), encoding="utf-8")
