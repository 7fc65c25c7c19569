"""Every command with small inputs of its own, and what must be true of its results whenever it was stopped."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import wave
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fastdl.files import temporaries

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Command:
    """Words after `fastdl`, {i} for the folder of inputs and {o} for that of results."""

    name: str
    words: tuple[str, ...]

    def filled(self, inputs: Path, results: Path) -> list[str]:
        """The words with these folders."""
        return [word.format(i=inputs, o=results) for word in self.words]

    def start(self, inputs: Path, results: Path, **settings: Any) -> subprocess.Popen:
        """The command as a process."""
        environment = {**os.environ, "PYTHONPATH": str(ROOT), **settings.pop("environment", {})}
        return subprocess.Popen(
            [sys.executable, "-m", "fastdl", *self.filled(inputs, results)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
            **settings,
        )


COMMANDS = (
    Command("encode-audio", ("encode-audio", "{i}/audio", "-o", "{o}/codes", "--overwrite")),
    Command("encode-audio wav", ("encode-audio", "{i}/audio", "-o", "{o}/u", "--law", "mu", "--overwrite")),
    Command("decode-audio", ("decode-audio", "{i}/codes", "-o", "{o}/wav", "--overwrite")),
    Command(
        "voxelize",
        ("voxelize", "{i}/clouds", "-o", "{o}/voxels", "--voxel-size", "1", "--range", "-9,-9,-9,9,9,9", "--overwrite"),
    ),
    Command(
        "downsample merge",
        ("downsample", "{i}/clouds", "-o", "{o}/all.ply", "--voxel-size", "0.5", "--merge", "--overwrite"),
    ),
    Command("downsample", ("downsample", "{i}/clouds", "-o", "{o}/down", "--voxel-size", "0.5", "--overwrite")),
    Command("one-hot", ("one-hot", "{i}/genome.fa", "-o", "{o}/x.npy", "--overwrite")),
    Command("one-hot zarr", ("one-hot", "{i}/genome.fa", "-o", "{o}/x.zarr", "--overwrite")),
    Command("graph rows", ("graph", "{i}/edges.csv", "-o", "{o}/g.npz", "--overwrite")),
    Command("graph", ("graph", "{i}/edges.csv", "--features", "{i}/features.npy", "-o", "{o}/h.npy", "--overwrite")),
    Command("fit", ("fit", "{i}/table.csv", "-o", "{o}/model.json", "--overwrite")),
    Command("predict", ("predict", "{i}/model.json", "{i}/table.csv", "-o", "{o}/p.npy", "--overwrite")),
)


def make_inputs(folder: Path, small: bool = False) -> None:
    """Inputs that take each command a second or less; or, if they are small, some hundredths of one."""
    rng = np.random.default_rng(0)
    size = 20 if small else 1
    for name in ("audio", "codes", "clouds"):
        (folder / name).mkdir(parents=True)
    for k in range(4):
        with wave.open(str(folder / "audio" / f"{k}.wav"), "wb") as file:
            file.setparams((1, 2, 16000, 0, "NONE", ""))
            file.writeframes(rng.integers(-32768, 32768, 2_000_000 // size >> k, dtype=np.int16).tobytes())
        np.save(folder / "clouds" / f"{k}.npy", rng.normal(0, 4, (200_000 // size >> k, 4)).astype(np.float32))
    letters = rng.choice(np.frombuffer(b"ACGTN", np.uint8), (20_000 // size, 60))
    lines = np.concatenate([letters, np.full((len(letters), 1), 10, np.uint8)], axis=1)
    (folder / "genome.fa").write_bytes(b">chr1\n" + lines.tobytes())
    edges = rng.integers(0, 5_000, (100_000 // size, 2))
    np.savetxt(folder / "edges.csv", edges, "%d", ",", header="source,target", comments="")
    np.save(folder / "features.npy", rng.normal(size=(5_000, 64)).astype(np.float32))
    table = rng.normal(size=(60_000 // size, 4))
    np.savetxt(folder / "table.csv", table, "%.6f", ",", header="a,b,c,y", comments="")
    for name in ("encode-audio", "fit"):
        (command,) = (c for c in COMMANDS if c.name == name)
        process = command.start(folder, folder)
        _, errors = process.communicate()
        if process.returncode:
            raise RuntimeError(f"{name}: {errors}")


def contents(folder: Path) -> dict[str, str]:
    """A hash of each result, whose own times do not count; the record of finished files is no result."""
    found = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and p.name != ".fastdl-record.jsonl"):
        data = path.read_bytes()
        if path.suffix == ".npz" and data.startswith(b"PK"):
            with np.load(path) as archive:
                data = b"".join(name.encode() + archive[name].tobytes() for name in archive.files)
        found[str(path.relative_to(folder))] = hashlib.sha256(data).hexdigest()
    return found


def leftovers(folder: Path) -> list[str]:
    """Temporaries that lie about."""
    return [str(p) for p in folder.rglob("*") if temporaries.is_temporary(p.name)]


def expected(commands: tuple[Command, ...], inputs: Path, folder: Path) -> dict[str, dict[str, str]]:
    """What each command writes when it is left alone."""
    whole = {}
    for command in commands:
        results = folder / command.name.replace(" ", "-")
        results.mkdir(parents=True)
        process = command.start(inputs, results)
        _, errors = process.communicate()
        if process.returncode:
            raise RuntimeError(f"{command.name}: {errors}")
        whole[command.name] = contents(results)
    return whole


def check(results: Path, whole: dict[str, str], old: Callable[[str], str] | None = None) -> list[str]:
    """What is wrong with the results of a command that did not come to its end: each is whole, old, or not there."""
    wrong = []
    for name, digest in contents(results).items():
        if any(map(temporaries.is_temporary, Path(name).parts)):
            continue
        if name not in whole:
            wrong.append(f"{name} is no result of the command")
        elif digest != whole[name] and (old is None or digest != old(name)):
            wrong.append(f"{name} is neither the old file nor the new one")
    return wrong
