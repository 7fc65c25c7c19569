"""Commands that turn files into files: names of results, bad files, and files that exist already."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import wave
from pathlib import Path

import numpy as np
import pytest

from fastdl.cli import _file_jobs, _sources, main
from fastdl.cli._progress import ProgressBar
from fastdl.errors import FileError
from fastdl.files import temporaries

X = (9000 * np.sin(np.arange(4000) / 11)).astype(np.int16)
RECORD = ".fastdl-record.jsonl"


def recording(path, x=X, rate=8000):
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, rate, 0, "NONE", ""))
        file.writeframes(x.tobytes())
    return path


def encode(*arguments):
    return main(["encode-audio", *map(str, arguments)])


def names(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file() and p.name != RECORD)


@pytest.mark.parametrize(
    "error",
    [
        ValueError("odd"),
        KeyError("field"),
        RecursionError("deep"),
        MemoryError(),
        EOFError(),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
        ZeroDivisionError("division by zero"),
        type("PanicException", (BaseException,), {})("a library in Rust gave up"),
        OSError(5, "Input/output error"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_whatever_a_file_raises_the_others_are_done(tmp_path, monkeypatch, capsys, error):
    for name in "abc":
        recording(tmp_path / "in" / f"{name}.wav")
    from fastdl.files.audio import recordings

    read = recordings.open_once

    def broken(path, **options):
        if path.name == "b.wav":
            raise error
        return read(path, **options)

    monkeypatch.setattr(recordings, "open_once", broken)
    assert encode(tmp_path / "in", "-o", tmp_path / "out") == 1
    said = capsys.readouterr()
    assert f"fastdl: {tmp_path / 'in' / 'b.wav'}" in said.err
    assert "encoded 2 files" in said.out
    assert "; 1 failed" in said.out
    assert names(tmp_path / "out") == ["a.npy", "a.npy.json", "c.npy", "c.npy.json"]


def test_a_name_with_a_slash_or_dots_is_a_folder(tmp_path):
    source = recording(tmp_path / "one" / "a.wav")
    assert encode(source, "-o", f"{tmp_path}/2024.11.25/") == 0
    assert encode(tmp_path / "one", "-o", tmp_path / "2024.11.26") == 0
    assert encode(source, "-o", f"{tmp_path}/x.npy/") == 0
    for folder in ("2024.11.25", "2024.11.26", "x.npy"):
        assert names(tmp_path / folder) == ["a.npy", "a.npy.json"]


@pytest.mark.parametrize("name", ["y.flac", "y.mp3", "y.csv", "y.25"])
def test_a_format_that_is_not_written_is_refused(tmp_path, capsys, name):
    assert encode(recording(tmp_path / "a.wav"), "-o", tmp_path / name) == 1
    assert "must end in .npy" in capsys.readouterr().err
    assert names(tmp_path) == ["a.wav"]


def test_endings_in_capitals_mean_the_same(tmp_path):
    source = recording(tmp_path / "a.wav")
    assert encode(source, "-o", tmp_path / "Y.WAV", "--law", "mu") == 0
    assert (tmp_path / "Y.WAV").read_bytes()[:4] == b"RIFF"
    assert encode(source, "-o", tmp_path / "Y.NPY") == 0
    assert np.load(tmp_path / "Y.NPY").shape == (4000,)


def test_several_files_are_not_one(tmp_path, capsys):
    sources = [recording(tmp_path / f"{name}.wav") for name in "ab"]
    assert encode(*sources, "-o", tmp_path / "both.npy") == 1
    assert "both.npy takes one file, got 2" in capsys.readouterr().err
    assert names(tmp_path) == ["a.wav", "b.wav"]


def test_two_files_of_one_name_are_both_named(tmp_path, capsys):
    sources = [recording(tmp_path / folder / "x.wav") for folder in "ab"]
    assert encode(*sources, "-o", tmp_path / "out") == 1
    said = capsys.readouterr().err
    assert all(str(source) in said for source in sources)
    assert not (tmp_path / "out").exists()


def test_files_that_differ_in_their_endings_alone_are_all_done(tmp_path, capsys):
    """The same recording in three formats, as exporters leave them side by side, and one of another name."""
    for name in ("a.wav", "b.wav", "a.wave", "more/a.rf64", "a.bw64"):
        recording(tmp_path / "in" / name, X[: 100 + len(name)])
    assert encode(tmp_path / "in", "-o", tmp_path / "out") == 0
    said = capsys.readouterr().out
    assert "encoded 5 files" in said
    assert "3 of sources called alike keep their endings, such as a.bw64.npy" in said
    found = [n for n in names(tmp_path / "out") if n.endswith(".npy")]
    assert found == ["a.bw64.npy", "a.wav.npy", "a.wave.npy", "b.npy", "more/a.npy"]
    for name in ("a.bw64", "a.wav", "a.wave"):
        assert len(np.load(tmp_path / "out" / f"{name}.npy")) == 100 + len(name)
    assert encode(tmp_path / "in", "-o", tmp_path / "out", "--skip-existing") == 0
    assert "5 were there already" in capsys.readouterr().out


def test_one_file_named_twice_is_done_once(tmp_path, capsys):
    source = recording(tmp_path / "in" / "a.wav")
    assert encode(source, source, tmp_path / "in", "-o", tmp_path / "out") == 0
    assert "encoded 1 file" in capsys.readouterr().out


def test_nothing_of_the_users_is_replaced(tmp_path, capsys):
    source = recording(tmp_path / "a.wav")
    (tmp_path / "a.npy.json").write_text('{"mine": 1}')
    assert encode(source, "-o", tmp_path / "a.npy") == 1
    assert "a.npy.json: exists; --overwrite replaces it" in capsys.readouterr().err
    assert (tmp_path / "a.npy.json").read_text() == '{"mine": 1}'
    assert not (tmp_path / "a.npy").exists()
    # Another source of the job is not replaced even where the user would let us.
    other = recording(tmp_path / "u" / "b.wav")
    assert encode(source, other, "-o", tmp_path / "u", "--law", "mu", "--overwrite") == 1
    assert encode(recording(tmp_path / "b.wav"), other, "-o", f"{tmp_path}/u/", "--law", "mu", "--overwrite") == 1
    os.link(source, tmp_path / "same.wav")
    assert encode(source, "-o", tmp_path / "same.wav", "--law", "mu", "--overwrite") == 1
    assert "is the input itself" in capsys.readouterr().err


def test_the_regions_of_a_job_are_not_replaced(tmp_path, capsys):
    (tmp_path / "g.fa").write_text(">a\nACGTACGT\n")
    (tmp_path / "r.npy").write_text("a\t0\t4\n")
    words = ["one-hot", tmp_path / "g.fa", "--windows", tmp_path / "r.npy", "-o", tmp_path / "r.npy", "--overwrite"]
    assert main([str(word) for word in words]) == 1
    assert "read by this job" in capsys.readouterr().err


def test_long_names(tmp_path):
    name = "x" * 240
    assert encode(recording(tmp_path / f"{name}.wav"), "-o", tmp_path / "long") == 0
    assert names(tmp_path / "long") == [f"{name}.npy", f"{name}.npy.json"]
    longest = recording(tmp_path / f"{'y' * 251}.wav")
    assert encode(longest, "-o", tmp_path / "u", "--law", "mu") == 0
    assert names(tmp_path / "u") == [longest.name]


@pytest.mark.skipif(os.name != "posix", reason="needs links")
def test_linked_folders_are_followed_once(tmp_path):
    recording(tmp_path / "in" / "a.wav")
    recording(tmp_path / "other" / "b.wav")
    (tmp_path / "in" / "more").symlink_to("../other")
    (tmp_path / "other" / "loop").symlink_to("../in")
    (tmp_path / "in" / "._a.wav").write_bytes(b"\0\5\26\7")
    assert encode(tmp_path / "in", "-o", tmp_path / "out") == 0
    assert [n for n in names(tmp_path / "out") if n.endswith(".npy")] == ["a.npy", "more/b.npy"]


def test_results_within_the_source_are_not_read_again(tmp_path, capsys):
    recording(tmp_path / "a.wav")
    for _ in range(2):
        assert encode(tmp_path, "-o", tmp_path / "out", "--law", "mu", "--overwrite") == 0
        assert "encoded 1 file" in capsys.readouterr().out


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
def test_pipes_and_standard_input(tmp_path, capsys):
    source = recording(tmp_path / "a.wav")
    words = [sys.executable, "-m", "fastdl", "encode-audio", "-", "-o", str(tmp_path / "s.npy")]
    with open(source, "rb") as file:
        assert subprocess.run(words, stdin=file, check=True, capture_output=True).returncode == 0
    pipe = tmp_path / "p.wav"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(source.read_bytes()))
    writer.start()
    assert encode(pipe, "-o", tmp_path / "p.npy") == 0
    writer.join()
    assert encode(source, "-o", tmp_path / "a.npy") == 0
    a, s, p = (np.load(tmp_path / f"{name}.npy") for name in "asp")
    np.testing.assert_array_equal(a, s)
    np.testing.assert_array_equal(a, p)
    words[4:] = ["-", "-o", str(tmp_path / "bad.npy")]
    done = subprocess.run(words, input=b"neither this nor that", capture_output=True, check=False)
    assert done.returncode == 1
    assert b"fastdl: standard input at byte 0: begins like none" in done.stderr


def test_skip_existing_does_only_what_is_not_done(tmp_path, capsys):
    for name in "abc":
        recording(tmp_path / "in" / f"{name}.wav")
    job = [tmp_path / "in", "-o", tmp_path / "out"]
    assert encode(*job) == 0
    before = (tmp_path / "out" / "a.npy").stat().st_mtime_ns
    recording(tmp_path / "in" / "d.wav")
    capsys.readouterr()
    assert encode(*job, "--skip-existing") == 0
    assert "encoded 1 file" in (said := capsys.readouterr().out)
    assert "3 were there already" in said
    assert (tmp_path / "out" / "a.npy").stat().st_mtime_ns == before
    # Another source, other options, a changed result: refused, or done anew where that is wanted.
    recording(tmp_path / "in" / "b.wav", X[:100])
    assert encode(*job, "--skip-existing") == 1
    assert "b.npy" in (said := capsys.readouterr().err)
    assert "a.npy" not in said
    assert encode(*job, "--skip-existing", "--overwrite") == 0
    assert "encoded 1 file" in capsys.readouterr().out
    assert np.load(tmp_path / "out" / "b.npy").shape == (100,)
    assert encode(*job, "--skip-existing", "--dialect", "librosa") == 1
    (tmp_path / "out" / "c.npy").write_bytes(b"mine")
    assert encode(*job, "--skip-existing") == 1


def test_a_job_that_was_killed_goes_on(tmp_path, capsys):
    for name in "ab":
        recording(tmp_path / "in" / f"{name}.wav")
    assert encode(tmp_path / "in", "-o", tmp_path / "out") == 0
    record = tmp_path / "out" / RECORD
    lines = record.read_text().splitlines()
    record.write_text("\n".join(lines[:3]) + '\n{"output": "b.npy", "res')  # killed before b was said to be done
    capsys.readouterr()
    assert encode(tmp_path / "in", "-o", tmp_path / "out", "--skip-existing") == 0
    assert "encoded 1 file" in capsys.readouterr().out


def test_json_says_what_became_of_each_file(tmp_path, capsys):
    recording(tmp_path / "in" / "a.wav")
    (tmp_path / "in" / "b.wav").write_bytes(b"RIFF")
    assert encode(tmp_path / "in", "-o", tmp_path / "out", "--json") == 1
    lines = {Path(line["input"]).name: line for line in map(json.loads, capsys.readouterr().out.splitlines())}
    assert lines["a.wav"]["rate"] == 8000
    assert lines["a.wav"]["items"] == 4000
    assert lines["a.wav"]["clipped"] == 0
    assert lines["a.wav"]["error"] is None
    assert lines["a.wav"]["output"].endswith("a.npy")
    assert "b.wav" in lines["b.wav"]["error"]


def test_quiet_prints_errors_only(tmp_path, capsys):
    recording(tmp_path / "in" / "a.wav")
    assert encode(tmp_path / "in", "-o", tmp_path / "out", "--quiet") == 0
    assert capsys.readouterr() == ("", "")


def test_the_summary_says_what_was_mixed(tmp_path, capsys):
    for name, rate in (("a", 8000), ("b", 16000), ("c", 8000)):
        recording(tmp_path / "in" / f"{name}.wav", rate=rate)
    assert encode(tmp_path / "in", "-o", tmp_path / "out") == 0
    assert "2 rates: 8000 (2 files), 16000 (1 file)" in capsys.readouterr().out


def test_a_folder_that_cannot_be_searched_is_named(tmp_path, monkeypatch, capsys):
    recording(tmp_path / "in" / "a.wav")
    recording(tmp_path / "in" / "closed" / "b.wav")
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert encode(tmp_path / "in", "-o", tmp_path / "out") == 1
    assert "closed: cannot be searched: Permission denied" in capsys.readouterr().err


def test_work_shares_one_executor(tmp_path, monkeypatch):
    helpers = set()
    for k in range(5):
        recording(tmp_path / "in" / f"{k}.wav")
    parser = _file_jobs.argparse.ArgumentParser()
    _file_jobs.add_arguments(parser)
    options = parser.parse_args([str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--jobs", "3", "--quiet"])

    def work(source, target, progress):
        helpers.add(id(progress.helper))
        return {}

    jobs = _file_jobs.FileJobs(options, (".wav",), (".npy",), ".npy")
    assert jobs.run(work, lambda totals: totals.files) == 0
    assert len(helpers) == 1
    assert len(jobs.results) == 5


def test_progress_stops_what_is_told_of_it():
    progress = ProgressBar(quiet=True)
    progress.advance(1)
    progress.stopped = True
    with pytest.raises(KeyboardInterrupt):
        progress.advance(1)


def test_output_is_checked_before_the_work(tmp_path):
    source = tmp_path / "t.csv"
    source.write_text("x")
    settings = {"reads": [source], "overwrite": True}
    with pytest.raises(FileError, match="input itself"):
        _sources.check_output(source, (".csv",), **settings)
    with pytest.raises(FileError, match="there is no folder"):
        _sources.check_output(tmp_path / "no" / "x.html", (".html",), **settings, make_folder=False)
    with pytest.raises(FileError, match="is a folder"):
        _sources.check_output(tmp_path, (), **settings)


@pytest.mark.skipif(os.name != "posix", reason="sends signals")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP", "SIGKILL"])
def test_a_signal_leaves_nothing(tmp_path, name):
    source, target = tmp_path / "x.wav", tmp_path / "x.npy"
    with open(recording(source), "r+b") as file:
        file.seek(4)
        file.write(b"\xff\xff\xff\xff")
        file.seek(40)
        file.write(b"\xff\xff\xff\xff")  # "to the end"
        file.truncate(2_000_000_000)  # a hole: no disk is used
    number = getattr(signal, name)
    words = [sys.executable, "-m", "fastdl", "encode-audio", str(source), "-o", str(target)]
    child = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    while not [p for p in tmp_path.iterdir() if temporaries.is_temporary(p.name)]:
        time.sleep(0.005)
        assert child.poll() is None
    child.send_signal(number)
    _, errors = child.communicate(timeout=60)
    assert child.returncode == -number
    assert "Traceback" not in errors
    assert not target.exists()
    left = [p for p in tmp_path.iterdir() if temporaries.is_temporary(p.name)]
    assert bool(left) == (name == "SIGKILL")
    assert encode(recording(tmp_path / "y.wav"), "-o", tmp_path / "y.npy") == 0
    if name == "SIGKILL":
        temporaries.sweep(str(tmp_path))
    assert not [p for p in tmp_path.iterdir() if temporaries.is_temporary(p.name)]


def test_a_source_that_is_missing_does_not_stop_the_others(tmp_path, capsys):
    source = recording(tmp_path / "a.wav")
    (tmp_path / "empty").mkdir()
    assert encode(source, tmp_path / "gone.wav", tmp_path / "empty", "-o", tmp_path / "out") == 1
    said = capsys.readouterr()
    assert "gone.wav: no such file" in said.err
    assert "empty: holds no file ending in" in said.err
    assert "encoded 1 file" in said.out
    assert "; 2 failed" in said.out


def test_a_source_that_changes_while_it_is_read_is_read_again_the_next_time(tmp_path, monkeypatch):
    from fastdl.files.audio import recordings

    source, target = recording(tmp_path / "in" / "a.wav"), tmp_path / "out" / "a.npy"
    read = recordings.open_once

    def changed_meanwhile(*arguments, **options):
        reader = read(*arguments, **options)
        recording(source, X[:1000])
        return reader

    with monkeypatch.context() as patch:
        patch.setattr(recordings, "open_once", changed_meanwhile)
        assert encode(tmp_path / "in", "-o", tmp_path / "out") == 0
    assert len(np.load(target)) == len(X)
    assert (
        encode(tmp_path / "in", "-o", tmp_path / "out", "--skip-existing") == 1
    )  # it is there, and not of this source
    assert encode(tmp_path / "in", "-o", tmp_path / "out", "--skip-existing", "--overwrite") == 0
    assert len(np.load(target)) == 1000
