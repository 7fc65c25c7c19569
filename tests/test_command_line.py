"""The command line itself: help, misspelt words, what is printed, how it ends."""

import os
import signal
import subprocess
import sys

import pytest

from fastdl.cli import main, parser

posix = pytest.mark.skipif(os.name != "posix", reason="needs POSIX")


def fastdl(*words, **settings):
    command = [sys.executable, "-m", "fastdl", *map(str, words)]
    settings = {"capture_output": True, "text": True, "check": False, **settings}
    return subprocess.run(command, **settings)


def fails(capsys, *words):
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    assert ended.value.code == 2
    return capsys.readouterr().err


def test_alone_it_shows_help(capsys):
    assert main([]) == 0
    said = capsys.readouterr().out
    assert "encode-audio  recordings to mu-law classes" in said
    assert "audio:" in said
    assert "exit codes: 0 all went well" in said


def test_every_command_has_help_with_examples_that_parse(capsys):
    top = parser()
    (commands,) = (action for action in top._actions if action.dest == "command")
    for name, command in commands.choices.items():
        if name in ("info", "bench"):
            continue
        help_ = command.format_help()
        examples = [
            line.strip() for line in help_.partition("examples:\n")[2].splitlines() if line.startswith("  fast")
        ]
        assert examples, name
        for example in examples:
            words = example.partition(" > ")[0].split()
            assert top.parse_args(words[1:]).command == name


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["encod-audio"], "there is no command 'encod-audio'; did you mean encode-audio?"),
        (["qqq"], "there is no command 'qqq'\n"),
        (["encode-audio", "x.wav", "-o", "y", "--overwrit"], "no option --overwrit; did you mean --overwrite?"),
        (["encode-audio", "x.wav", "-o", "y", "--chanels=7"], "no option --chanels; did you mean --channels?"),
        (["encode-audio", "x.wav", "-o", "y", "--over"], "no option --over"),  # no abbreviations
        (["encode-audio", "x.wav", "-o", "y", "--law", "u"], "--law must be one of 'mu', 'a', got 'u'"),
        (["encode-audio", "x.wav"], "required: -o/--output"),
        (["encode-audio", "x.wav", "-o", "-"], "name a file or a folder, got '-'"),
    ],
)
def test_a_wrong_word_is_named_with_the_nearest(capsys, words, message):
    said = fails(capsys, *words)
    assert message in said
    assert "Traceback" not in said
    assert len(said.splitlines()) == 2


def test_help_is_quick_because_it_imports_little():
    program = (
        "import sys, contextlib, os\nfrom fastdl.cli import main\n"
        "with open(os.devnull, 'w') as nothing, contextlib.redirect_stdout(nothing), contextlib.suppress(SystemExit):\n"
        "    main(['encode-audio', '--help'])\n"
        "print(sorted({'numpy', 'numba', 'scipy', 'tqdm', 'distributed'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_version(capsys):
    import fastdl as package

    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out == f"fastdl {package.__version__}\n"


def test_colour_is_for_terminals_that_want_it(monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\033[1m" in parser().format_help()
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\033" not in parser().format_help()


def test_a_name_that_the_terminal_cannot_show(tmp_path):
    (tmp_path / "日本.csv").write_text("x,y\n" + "".join(f"{k},{2 * k}\n" for k in range(30)))
    environment = {**os.environ, "PYTHONIOENCODING": "cp1252", "PYTHONUTF8": "0"}
    done = fastdl("fit", tmp_path / "日本.csv", "-o", tmp_path / "日本.json", env=environment)
    assert done.returncode == 0, done.stderr
    assert "\\u65e5\\u672c.json" in done.stdout


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_standard_output_is_no_traceback():
    with open("/dev/full", "w") as full:
        done = fastdl("info", capture_output=False, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 1
    assert done.stderr == "fastdl: cannot print: No space left on device\n"


@posix
def test_a_reader_that_has_seen_enough():
    words = f"{sys.executable} -m fastdl info | true"
    done = subprocess.run(words, shell=True, capture_output=True, text=True, check=False)
    assert done.stderr == ""


def test_the_demo_fails_before_the_work(tmp_path, capsys):
    assert main(["demo", "-o", str(tmp_path / "no" / "x.html")]) == 1
    assert "there is no folder" in capsys.readouterr().err


@posix
@pytest.mark.parametrize("module", ["fastdl.files.temporaries", "fastdl.cli._parser", "fastdl.cli.linear"])
def test_ctrl_c_while_modules_are_imported_is_quiet(module):
    words = [sys.executable, "-X", "importtime", "-m", "fastdl", "bench", "--help"]
    child = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while line := child.stderr.readline():
        if line.split()[-1] == module:
            break
    child.send_signal(signal.SIGINT)
    _, errors = child.communicate(timeout=60)
    assert child.returncode in (0, -signal.SIGINT)
    assert "Traceback" not in errors


def test_completion(capsys):
    pytest.importorskip("shtab")
    assert main(["completion", "bash"]) == 0
    assert "encode-audio" in capsys.readouterr().out


def test_python_dash_m_and_the_program_are_the_same():
    assert fastdl("--version").stdout.startswith("fastdl ")
    assert fastdl("qqq").returncode == 2
