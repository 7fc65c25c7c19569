"""Many tiles reduced together, some of which cannot be read."""

import json
import os

import numpy as np
import pytest

from fastdl.cli import main


@pytest.mark.parametrize("way", ["--merge", "--seamless"])
def test_tiles_that_cannot_be_read_are_left_out(tmp_path, capsys, way):
    """One that cannot be opened, and one whose points turn out to be damaged when half of the work is done."""
    rng = np.random.default_rng(0)
    for name in ("a.npy", "b.npy"):
        np.save(tmp_path / name, rng.uniform(0, 9, (500, 3)))
    (tmp_path / "c.las").write_bytes(b"LASF" + bytes(400))
    (tmp_path / "d.xyz").write_text("".join(f"{k} 1 1\n" for k in range(400)) + "1 2 oh\n")
    goods = [str(tmp_path / name) for name in ("a.npy", "b.npy")]
    target = tmp_path / ("out.ply" if way == "--merge" else "out")
    words = ["downsample", "--voxel-size", "1", way, "-o", str(target)]
    assert main([*words, str(tmp_path / "c.las"), goods[0], str(tmp_path / "d.xyz"), goods[1], "--json"]) == 1
    said = capsys.readouterr()
    assert "c.las at byte 24" in said.err
    assert "d.xyz at line 401" in said.err
    told = {os.path.basename(o["input"]): o["error"] for o in map(json.loads, said.out.splitlines())}
    assert [bool(told[name]) for name in ("c.las", "d.xyz")] == [True, True]
    assert told["a.npy"] is None
    want = tmp_path / ("want.ply" if way == "--merge" else "want")
    assert main([*words[:-1], str(want), *goods]) == 0
    for name in ("a.ply", "b.ply") if way == "--seamless" else ("",):
        assert (target / name).read_bytes() == (want / name).read_bytes()


@pytest.mark.parametrize("memory", ["1GiB", "1MB"])
def test_tiles_tell_their_own_points_and_voxels(tmp_path, capsys, memory):
    rng = np.random.default_rng(1)
    counts = [500, 3000, 40, 0]
    for k, n in enumerate(counts):
        np.save(tmp_path / f"{k}.npy", rng.uniform(0, 9, (n, 3)))
    words = ["downsample", "--voxel-size", "1", "-o", str(tmp_path / "out"), f"--max-bytes={memory}", "--json"]
    assert main([*words, "--seamless", *(str(tmp_path / f"{k}.npy") for k in range(4))]) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [o["in"] for o in told] == counts
    points = np.concatenate([np.load(tmp_path / f"{k}.npy") for k in range(4)])
    assert sum(o["voxels"] for o in told) == len(np.unique(np.floor(points), axis=0))
    assert all(o["together"]["in"] == o["together"]["kept"] == sum(counts) for o in told)
