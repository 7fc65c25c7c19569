"""Files that appear whole or not at all, whatever happens while they are written."""

import os
import stat
import subprocess
import sys
import threading

import numpy as np
import pytest

from fastdl.errors import FileError
from fastdl.files import _small_files, atomic, temporaries
from fastdl.files.atomic import replacing, replacing_folder, replacing_together
from fastdl.files.npy import NpyReader, NpyWriter
from fastdl.reference import files as reference

posix = pytest.mark.skipif(os.name != "posix", reason="needs POSIX")


def left(folder):
    return [p.name for p in folder.iterdir() if temporaries.is_temporary(p.name)]


@pytest.mark.parametrize("sync", [True, False])
def test_whole_or_not_at_all(tmp_path, sync):
    target = tmp_path / "x"
    with replacing(target, sync=sync) as file:
        file.write(b"one")
        assert not target.exists()
    assert target.read_bytes() == b"one"
    with pytest.raises(ZeroDivisionError), replacing(target, sync=sync) as file:  # noqa: PT012
        file.write(b"two")
        raise ZeroDivisionError
    assert target.read_bytes() == b"one"
    assert not left(tmp_path)


@posix
def test_modes(tmp_path):
    """A new file has what the umask leaves, as from open(); one that is replaced keeps its own."""
    with open(tmp_path / "plain", "wb"), replacing(tmp_path / "new") as file:
        file.write(b"x")
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "plain").stat().st_mode
    for mode in (0o600, 0o644, 0o755):
        (tmp_path / "new").chmod(mode)
        with replacing(tmp_path / "new") as file:
            file.write(b"y")
        assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == mode


@posix
def test_links_stay_links_and_pipes_are_written_to(tmp_path):
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    with replacing(tmp_path / "link") as file:
        file.write(b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"
    os.mkfifo(tmp_path / "pipe")
    got = []
    reader = threading.Thread(target=lambda: got.append((tmp_path / "pipe").read_bytes()))
    reader.start()
    with replacing(tmp_path / "pipe") as file:
        file.write(b"through")
    reader.join()
    assert got == [b"through"]


def test_the_longest_name(tmp_path):
    target = tmp_path / ("x" * 255)
    with replacing(target) as file:
        file.write(b"x")
    assert target.read_bytes() == b"x"


def test_what_cannot_be_written_is_named(tmp_path):
    with pytest.raises(FileError, match="no/x: cannot be written: No such file"), replacing(tmp_path / "no" / "x"):
        pass


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("limit", [0, 100, 70_000])
def test_a_full_disk_is_an_error_that_names_the_file(tmp_path, limit):
    program = (
        "import resource, sys, numpy as np\n"
        "from fastdl.errors import FileError\n"
        "from fastdl.files.atomic import replacing\n"
        "from fastdl.files.npy import NpyWriter\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))\n"
        "try:\n"
        "    with replacing(sys.argv[1]) as file:\n"
        "        writer = NpyWriter(file, np.float64)\n"
        "        writer.write(np.zeros(10_000))\n"
        "        writer.finish()\n"
        "except FileError as error:\n"
        "    print(error)\n"
    )
    words = [sys.executable, "-c", program, str(tmp_path / "x.npy")]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout == f"{tmp_path / 'x.npy'}: cannot be written: File too large\n"
    assert not list(tmp_path.iterdir())


def test_files_that_belong_together(tmp_path):
    a, b = tmp_path / "codes", tmp_path / "description"
    for text in (b"1", b"2"):
        with replacing_together(a, b) as (codes, description):
            codes.write(text)
            description.write(text)
        assert a.read_bytes() == b.read_bytes() == text
    with pytest.raises(ZeroDivisionError), replacing_together(a, b) as (codes, description):  # noqa: PT012
        codes.write(b"3")
        raise ZeroDivisionError
    assert a.read_bytes() == b.read_bytes() == b"2"
    assert not left(tmp_path)


@pytest.mark.parametrize("pieces", [[], [b"abc"], [b"x" * 50_000] * 3, [b"x" * 200_000, b"y"], [b"x" * 65_536, b"y"]])
def test_small_and_large_files_are_written_as_by_open(tmp_path, pieces):
    def write(file):
        for piece in pieces:
            file.write(piece)
        end = file.tell()
        file.seek(0)
        file.write(memoryview(np.arange(3)).cast("B"))
        file.seek(0, os.SEEK_END)
        file.write(b"end")
        file.truncate(end + 2)
        assert file.seekable() and file.writable() and not file.readable()

    with replacing(tmp_path / "ours") as file:
        write(file)
    with open(tmp_path / "plain", "wb") as file:
        write(file)
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "plain").read_bytes()
    assert not left(tmp_path)


def test_two_jobs_with_one_target_do_not_mix(tmp_path):
    a, b = tmp_path / "codes", tmp_path / "description"
    mixed, stop = [], threading.Event()

    def write(text):
        for _ in range(150):
            with replacing_together(a, b, sync=False) as (codes, description):
                codes.write(text)
                description.write(text)

    def read():
        while not stop.is_set():
            try:
                first, second, again = a.read_bytes(), b.read_bytes(), a.read_bytes()
            except FileNotFoundError:
                continue
            if first == again and first != second and first == a.read_bytes():
                mixed.append((first, second))

    reader = threading.Thread(target=read)
    reader.start()
    writers = [threading.Thread(target=write, args=(text,)) for text in (b"1" * 9, b"2" * 9)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    stop.set()
    reader.join()
    assert a.read_bytes() == b.read_bytes()
    assert not left(tmp_path)


def test_groups_get_their_names_together(tmp_path):
    groups = [atomic.Group() for _ in range(20)]
    for k, group in enumerate(groups):
        with group, replacing(tmp_path / f"{k}") as file:
            file.write(b"x")
        assert not (tmp_path / f"{k}").exists()
    assert atomic.commit_groups(groups) == [None] * 20
    assert len(list(tmp_path.iterdir())) == 20
    with pytest.raises(ZeroDivisionError), groups[0]:  # noqa: PT012
        with replacing(tmp_path / "more") as file:
            file.write(b"x")
        raise ZeroDivisionError
    assert not left(tmp_path)
    assert not (tmp_path / "more").exists()


@posix
@pytest.mark.parametrize("sync", [True, False])
@pytest.mark.parametrize("kernel", ["compiled", "reference"])
def test_many_small_files_whatever_is_there_already(tmp_path, monkeypatch, kernel, sync):
    """New ones, one with a mode of its own, links, a pipe, a folder, and a folder that is missing."""
    if kernel == "reference":
        monkeypatch.setattr(_small_files, "kernel", reference)
    (tmp_path / "beyond").mkdir()
    (tmp_path / "beyond" / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("beyond/real")
    (tmp_path / "mode").write_bytes(b"old")
    (tmp_path / "mode").chmod(0o640)
    (tmp_path / "mode.json").write_bytes(b"old")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    got = []
    reader = threading.Thread(target=lambda: got.append((tmp_path / "pipe").read_bytes()))
    reader.start()
    names = ["link", "mode", "folder", "pipe", "no/file", *map(str, range(20))]
    groups = []
    for name in names:
        groups.append(atomic.Group(sync))
        with groups[-1], replacing_together(tmp_path / name, tmp_path / f"{name}.json") as (file, beside):
            file.write(name.encode())
            beside.write(b"about " + name.encode())
    assert (tmp_path / "mode").read_bytes() == b"old"
    problems = dict(zip(names, atomic.commit_groups(groups)))
    reader.join()
    assert {name for name, problem in problems.items() if problem} == {"folder", "no/file"}
    assert "no/file: cannot be written: No such file" in str(problems["no/file"])
    assert "folder: cannot be written: Is a directory" in str(problems["folder"])
    assert got == [b"pipe"]
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "beyond" / "real").read_bytes() == b"link"
    assert stat.S_IMODE((tmp_path / "mode").stat().st_mode) == 0o640
    for name in set(names) - {"folder", "no/file", "pipe"}:
        assert (tmp_path / name).read_bytes() == name.encode()
        assert (tmp_path / f"{name}.json").read_bytes() == b"about " + name.encode()
    with open(tmp_path / "plain", "wb"):
        assert (tmp_path / "0").stat().st_mode == (tmp_path / "plain").stat().st_mode
    assert not left(tmp_path)
    assert not left(tmp_path / "beyond")
    assert not temporaries._live


def test_a_group_that_is_to_end_names_nothing(tmp_path, monkeypatch):
    groups = [atomic.Group(sync=False) for _ in range(3)]
    for k, group in enumerate(groups):
        with group, replacing(tmp_path / f"{k}") as file:
            file.write(b"x")
    monkeypatch.setattr(temporaries, "_abandoned", True)
    with pytest.raises(KeyboardInterrupt):
        atomic.commit_groups(groups)
    assert not list(tmp_path.iterdir())


def test_groups_and_single_files_in_one_folder_do_not_wait_for_each_other(tmp_path):
    def gather():
        for k in range(60):
            groups = [atomic.Group(sync=False) for _ in range(3)]
            for j, group in enumerate(groups):
                with group, replacing_together(tmp_path / f"a{k}{j}", tmp_path / f"b{k}{j}") as files:
                    files[0].write(b"x")
            assert atomic.commit_groups(groups) == [None] * 3

    def alone():
        for k in range(120):
            with replacing_together(tmp_path / f"c{k}", tmp_path / f"d{k}", sync=False) as files:
                files[0].write(b"x")

    threads = [threading.Thread(target=work, daemon=True) for work in (gather, alone, alone)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    assert not left(tmp_path)


def test_a_folder_is_replaced_whole_or_stays(tmp_path):
    for text in ("one", "two"):
        with replacing_folder(tmp_path / "x.zarr") as folder:
            (folder / "a").write_text(text)
        assert (tmp_path / "x.zarr" / "a").read_text() == text
    with pytest.raises(ZeroDivisionError), replacing_folder(tmp_path / "x.zarr") as folder:  # noqa: PT012
        (folder / "a").write_text("three")
        raise ZeroDivisionError
    assert (tmp_path / "x.zarr" / "a").read_text() == "two"
    assert [p.name for p in tmp_path.iterdir()] == ["x.zarr"]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_leftovers_are_told_from_what_is_being_written(tmp_path):
    ours = temporaries.reserve(str(tmp_path))
    host, pid, start = ours.rpartition("/")[2].split(".")[1].split("-")[1:]
    dead = [
        f".fastdl-{host}-{pid}-{int(start) - 1}.0.part",  # the number of a process that is now another's
        f".fastdl-{host}-4194303999-17.0.part",
    ]
    kept = [ours.rpartition("/")[2], f".fastdl-00000000-{pid}-1.0.part", ".fastdl-mine.part", ".fastdl-1-2-3.part"]
    for name in dead + kept:
        (tmp_path / name).write_bytes(b"x")
    temporaries.sweep(str(tmp_path))
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(kept)
    temporaries.remove(ours)


def test_a_truncated_npy_is_named(tmp_path):
    np.save(tmp_path / "x.npy", np.arange(1000))
    reader = NpyReader(tmp_path / "x.npy")
    os.truncate(tmp_path / "x.npy", 4000)
    with pytest.raises(FileError, match=r"x\.npy at byte 4000: truncated while it was read"):
        list(reader.chunks(100))
    with pytest.raises(FileError, match="truncated"):
        NpyReader(tmp_path / "x.npy")


def test_headers_that_no_file_has_room_for(tmp_path):
    for shape in ((10**18,), (2**62, 8), (10**30, 0, 7)):
        header = {"descr": "<f8", "fortran_order": False, "shape": shape}
        with open(tmp_path / "x.npy", "wb") as file:
            np.lib.format.write_array_header_2_0(file, header)
        if 0 in shape:
            continue
        with pytest.raises(FileError, match="announced"):
            NpyReader(tmp_path / "x.npy")


def test_rows_of_another_shape_are_refused(tmp_path):
    with replacing(tmp_path / "x.npy") as file:
        writer = NpyWriter(file, np.float32, (3,))
        with pytest.raises(ValueError, match=r"float32 of shape \(n, 3\)"):
            writer.write(np.zeros((2, 4), np.float32))
        writer.finish()
