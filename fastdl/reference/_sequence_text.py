"""Parsers of FASTA and FASTQ text: the letters, and where records begin."""

import numpy as np

# The fields of the state that `fasta` keeps from one piece of text to the next.
LENGTH, LINE_BASES, LINE_WIDTH, OPEN_BASES, OPEN_WIDTH, SHORT, UNEVEN, LINE, FRESH, OFFSET = range(10)
LETTERS = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz*-.")
_NO_LETTERS_LOOSELY = bytes(range(33)) + b"0123456789"


def take_line(state):
    """Note the end of a line: an index needs lines of one length in a sequence; only the last may be shorter."""
    bases, width = int(state[OPEN_BASES]), int(state[OPEN_WIDTH])
    state[LENGTH] += bases
    if not state[LINE_WIDTH]:
        state[LINE_BASES], state[LINE_WIDTH] = bases, width
    else:
        ending = width - bases <= state[LINE_WIDTH] - state[LINE_BASES]
        fits = bases == 0 or (not state[SHORT] and bases <= state[LINE_BASES] and ending)
        state[SHORT] |= int(width != state[LINE_WIDTH])
        if not fits and not state[UNEVEN]:
            state[UNEVEN] = state[LINE]
    state[OPEN_BASES] = state[OPEN_WIDTH] = 0


def fasta(x, letters, records, state, loose, last):
    """Parse a piece of text; returns (headers found, letters written, whether one of them is not a letter)."""
    text = bytes(x)
    at = written = count = 0
    while at < len(text):
        end = text.find(b"\n", at)
        stop = end if end >= 0 else len(text)
        line = text[at:stop]
        if end >= 0:
            line = line.removesuffix(b"\r")
        if state[FRESH] and line[:1] == b">":
            if state[OPEN_WIDTH]:
                take_line(state)
            place = state[OFFSET] + min(stop + 1, len(text))
            records[count, :5] = at + 1, at + len(line), written, state[LINE], place
            records[count, 5:] = state[LENGTH], state[LINE_BASES], state[LINE_WIDTH], state[UNEVEN]
            count += 1
            state[:LINE] = 0
        elif state[FRESH] and line[:1] == b";":
            state[UNEVEN] = state[UNEVEN] or state[LINE]
        else:
            kept = line.translate(None, _NO_LETTERS_LOOSELY) if loose else line
            if len(kept) != len(line):
                state[UNEVEN] = state[UNEVEN] or state[LINE]
            letters[written : written + len(kept)] = np.frombuffer(kept, np.uint8)
            written += len(kept)
            state[OPEN_BASES] += len(kept)
            state[OPEN_WIDTH] += stop - at + (end >= 0)
            if end >= 0:
                take_line(state)
        state[FRESH] = end >= 0
        state[LINE] += end >= 0
        at = stop + 1
    state[OFFSET] += len(text)
    if last and state[OPEN_WIDTH]:
        take_line(state)
    return count, written, not LETTERS.issuperset(letters[:written].tobytes())


def reads(x, bases, qualities, offsets, names):
    """Parse the whole reads of a text; returns (reads, bytes taken, lines taken, problem, its line).

    Problems are 1: a line without @; 2: bases and qualities differ in length; 3: a base is not a letter; 0: none.
    """
    lines = [line.removesuffix(b"\r") for line in bytes(x).split(b"\n")]
    starts = np.cumsum([0, *(len(line) + 1 for line in bytes(x).split(b"\n"))])
    lines, rest = lines[:-1], lines[-1]  # the rest has no end yet
    offsets[0] = count = taken = written = 0
    while taken < len(lines) or rest:
        if taken < len(lines) and not lines[taken]:
            taken += 1
            continue
        if not (lines[taken] if taken < len(lines) else rest).startswith(b"@"):
            return count, starts[taken], taken, 1, taken
        plus = next((i for i in range(taken + 1, len(lines)) if lines[i][:1] == b"+"), None)
        for i in range(taken + 1, len(lines) if plus is None else plus):
            if not LETTERS.issuperset(lines[i]):
                return count, starts[taken], taken, 3, i
        if plus is None:
            break
        read, last, quality = b"".join(lines[taken + 1 : plus]), plus + 1, b""
        while last < len(lines):
            quality += lines[last]
            if len(quality) > len(read) or (plus < taken + 3 and len(quality) != len(read)):
                return count, starts[taken], taken, 2, plus + 1
            last += 1
            if len(quality) == len(read):
                break
        else:
            break
        bases[written : written + len(read)] = np.frombuffer(read, np.uint8)
        qualities[written : written + len(read)] = np.frombuffer(quality, np.uint8)
        names[count] = starts[taken] + 1, starts[taken] + len(lines[taken])
        written, count, taken = written + len(read), count + 1, last
        offsets[count] = written
    return count, starts[taken], taken, 0, taken
