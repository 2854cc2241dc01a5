"""Fuzzes every surface that reads a peer's bytes: `make fuzz` (SECONDS=60, NAME=one of them, KEEP=1).

The native engine's by cargo-fuzz (coverage-guided, with the address sanitizer; it is installed
into `.weir/cargo` when it is not there), the control plane's by `mutate.py`. Each begins with the
corpus in `tests/corpora` and with what earlier runs left in `.weir/fuzz`. With KEEP=1 the smallest
set that reaches as much is written to `tests/corpora`. Exit code 0 only without a finding.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from bench.fuzz import mutate, probes

ROOT = Path(__file__).resolve().parents[2]
CRATE = ROOT / "focus" / "native" / "fuzz"
CORPORA = ROOT / "tests" / "corpora"
WORK = ROOT / ".weir" / "fuzz"
CARGO_FUZZ = "0.13.2"
TOOLS = ROOT / ".weir" / "cargo"
MOST_FILES = 200
"Of one corpus that is kept."
LONGEST = 2048
"Bytes of one such file."


def natives() -> list[str]:
    """The targets of cargo-fuzz."""
    return sorted(path.stem for path in (CRATE / "fuzz_targets").glob("*.rs"))


def environment() -> dict[str, str]:
    """The sanitizer's flags are said to be unstable, which the variable makes no matter: it need not be a nightly."""
    path = f"{TOOLS / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"
    return os.environ | {"RUSTC_BOOTSTRAP": "1", "PATH": path}


def build(names: list[str]) -> Path:
    """Build the targets; the folder that they are in."""
    if not (TOOLS / "bin" / "cargo-fuzz").exists():
        print(f"Installing cargo-fuzz {CARGO_FUZZ} into .weir/cargo ...", flush=True)
        install = ["cargo", "install", "cargo-fuzz", "--version", CARGO_FUZZ, "--locked", "--quiet"]
        subprocess.run([*install, "--root", str(TOOLS)], check=True)
    print("Building the targets (minutes, the first time) ...", flush=True)
    target = Path(os.environ.get("FUZZ_TARGET_DIR", WORK / "target"))
    command = ["cargo", "fuzz", "build", "--fuzz-dir", str(CRATE), "--target-dir", str(target)]
    for name in names if len(names) == 1 else [""]:
        subprocess.run([*command, *filter(None, [name])], cwd=CRATE.parent, env=environment(), check=True)
    return next(path.parent for path in sorted(target.glob(f"*/release/{names[0]}")))


def folders(name: str) -> tuple[Path, Path, Path]:
    """Where a target's growing corpus, its findings and its kept corpus are."""
    made = WORK / "corpus" / name, WORK / "findings" / name, CORPORA / name
    for folder in made:
        folder.mkdir(parents=True, exist_ok=True)
    return made


def native(binary: Path, name: str, seconds: int, keep: bool) -> dict[str, Any]:
    """Run one target of cargo-fuzz."""
    growing, findings, kept = folders(name)
    # Leaks would be looked for after every run, since the call of one run serves the next: memory has a limit instead.
    limits = ["-timeout=20", "-rss_limit_mb=2048", "-detect_leaks=0"]
    flags = [f"-artifact_prefix={findings}/", "-print_final_stats=1", *limits]
    run = [str(binary), str(growing), str(kept), f"-max_total_time={seconds}", "-max_len=4096", *flags]
    before = set(findings.iterdir())
    done = subprocess.run(run, capture_output=True, text=True, errors="replace")
    (WORK / f"{name}.log").write_text(done.stderr)
    found = [path for path in set(findings.iterdir()) - before if confirmed(binary, path, limits)]
    new = sorted(str(path.relative_to(ROOT)) for path in found)
    if done.returncode and not set(findings.iterdir()) - before:
        new = [f"exit code {done.returncode}: see .weir/fuzz/{name}.log"]
    if keep and not new:
        smallest = WORK / "smallest"
        shutil.rmtree(smallest, ignore_errors=True)
        smallest.mkdir()
        merge = [str(binary), str(smallest), str(kept), str(growing), "-merge=1", f"-max_len={LONGEST}", *flags]
        subprocess.run(merge, capture_output=True, check=True)
        store(kept, [path.read_bytes() for path in smallest.iterdir()])
    executions = re.findall(r"stat::number_of_executed_units:\s*(\d+)", done.stderr)
    reached = re.findall(r"cov: (\d+)", done.stderr)
    return {
        "executions": int(executions[-1]) if executions else 0,
        "reached": int(reached[-1]) if reached else 0,
        "findings": new,
    }


def confirmed(binary: Path, finding: Path, limits: list[str]) -> bool:
    """Whether a finding can be had again. One that took too long may have met a machine that was busy."""
    return subprocess.run([str(binary), str(finding), *limits], capture_output=True).returncode != 0


def ours(name: str, seconds: int, keep: bool, seed: int) -> dict[str, Any]:
    """Run one probe of the control plane."""
    growing, findings, kept = folders(name)
    begin = [path.read_bytes() for folder in (growing, kept) for path in sorted(folder.iterdir())]
    if name == "sdp":
        begin += [probes.OFFER.encode(), (ROOT / "tests" / "vectors" / "chromium-offer.sdp").read_bytes()]
    begin += [text.encode() for text in mutate.SEEDS[name]]
    found = mutate.search(probes.ALL[name], begin, mutate.WORDS[name], seconds, seed)
    store(growing, found.kept, most=10 * MOST_FILES)
    new = []
    for text, how in found.broken:
        path = findings / named(text)
        path.write_bytes(text)
        new.append(f"{path.relative_to(ROOT)}: {how}")
    if keep and not new:
        store(kept, found.kept)
    return {"executions": found.executions, "reached": found.lines, "findings": new}


def named(data: bytes) -> str:
    """A file's name, by what is in it."""
    return hashlib.sha256(data).hexdigest()[:16]


def store(folder: Path, texts: list[bytes], most: int = MOST_FILES) -> None:
    """Make a folder hold these, the smallest first, and nothing else."""
    chosen = sorted({text for text in texts if len(text) <= LONGEST}, key=lambda text: (len(text), text))[:most]
    for path in folder.iterdir():
        path.unlink()
    for text in chosen:
        (folder / named(text)).write_bytes(text)


def main() -> int:
    """The command line."""
    everything = [*natives(), *probes.ALL]
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--name", choices=everything, help="only this one")
    parser.add_argument("--seconds", type=int, default=60, help="for each (default: 60)")
    parser.add_argument("--keep", action="store_true", help="renew tests/corpora")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of the control plane's mutations")
    chosen = parser.parse_args()
    names = [chosen.name] if chosen.name else everything
    built = build([name for name in names if name in natives()]) if set(names) & set(natives()) else Path()
    result: dict[str, Any] = {"seconds": chosen.seconds, "seed": chosen.seed, "targets": {}}
    for name in names:
        print(f"{name}: {chosen.seconds} s ...", end=" ", flush=True)
        if name in probes.ALL:
            outcome = ours(name, chosen.seconds, chosen.keep, chosen.seed)
        else:
            outcome = native(built / name, name, chosen.seconds, chosen.keep)
        print(f"{outcome['executions']} runs, {len(outcome['findings'])} findings", flush=True)
        for finding in outcome["findings"]:
            print(f"  {finding}", flush=True)
        result["targets"][name] = outcome
    result["findings"] = sum(len(outcome["findings"]) for outcome in result["targets"].values())
    result["pass"] = result["findings"] == 0 and all(outcome["executions"] for outcome in result["targets"].values())
    print(json.dumps(result))
    return 0 if result["pass"] else 1


if __name__ == "__main__":
    sys.exit(main())
