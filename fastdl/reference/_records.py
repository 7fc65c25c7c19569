"""FASTA and FASTQ text: which of its bytes are letters, and where records begin."""

import numpy as np

BASES, LINE_BASES, LINE_WIDTH, OPEN_BASES, OPEN_WIDTH, SHORT = range(6)
LETTERS = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz*-.")


def letters(x, out):
    """(letters written, line ends passed, whether one is no letter)."""
    text = bytes(x)
    found = text.replace(b"\r\n", b"\n").replace(b"\n", b"")
    out[: len(found)] = np.frombuffer(found, np.uint8)
    return len(found), text.count(b"\n"), not LETTERS.issuperset(found)


def take_line(state, bases, width):
    """Whether a line of these sizes may follow: all are as the first, but the last may be shorter."""
    state[BASES] += bases
    if not state[LINE_WIDTH]:
        state[LINE_BASES], state[LINE_WIDTH] = bases, width
        return True
    ending = width - bases <= state[LINE_WIDTH] - state[LINE_BASES]
    fits = bases == 0 or (not state[SHORT] and bases <= state[LINE_BASES] and ending)
    state[SHORT] |= int(width != state[LINE_WIDTH])
    return fits


def shape(x, state, last):
    """Take one piece of a sequence's text into state; the lines before the first that does not fit, or -1."""
    lines = (
        bytes(x).splitlines(keepends=True) if b"\r" not in bytes(x) else bytes(x).replace(b"\n", b"\n\0").split(b"\0")
    )
    for i, line in enumerate(lines):
        state[OPEN_WIDTH] += len(line)
        state[OPEN_BASES] += len(line) - (2 if line.endswith(b"\r\n") else 1 if line.endswith(b"\n") else 0)
        if line.endswith(b"\n"):
            fits = take_line(state, state[OPEN_BASES], state[OPEN_WIDTH])
            state[OPEN_BASES] = state[OPEN_WIDTH] = 0
            if not fits:
                return i
    if last and state[OPEN_WIDTH]:
        fits = take_line(state, state[OPEN_BASES], state[OPEN_WIDTH])
        state[OPEN_BASES] = state[OPEN_WIDTH] = 0
        return -1 if fits else bytes(x).count(b"\n")
    return -1


def reads(x, bases, qualities, offsets, names):
    """(reads, bytes taken, problem, its line in the read): 1: no @; 2: no +; 3: lengths differ; 4: a base is none."""
    lines = bytes(x).split(b"\n")[:-1]
    at = written = offsets[0] = 0
    for k in range(0, len(lines), 4):
        four = lines[k : k + 4]
        text = [line.removesuffix(b"\r") for line in four]
        if not four[0].startswith(b"@"):
            return k // 4, at, 1, 0
        if len(four) > 2 and not four[2].startswith(b"+"):
            return k // 4, at, 2, 2
        if len(four) < 4:
            return k // 4, at, 0, len(four)
        if len(text[1]) != len(text[3]):
            return k // 4, at, 3, 3
        if not LETTERS.issuperset(text[1]):
            return k // 4, at, 4, 1
        bases[written : written + len(text[1])] = np.frombuffer(text[1], np.uint8)
        qualities[written : written + len(text[1])] = np.frombuffer(text[3], np.uint8)
        written += len(text[1])
        names[k // 4] = at + 1, at + len(text[0])
        offsets[k // 4 + 1] = written
        at += sum(len(line) + 1 for line in four)
    return -(-len(lines) // 4), at, 0, 4
