"""Damaged copies of good files: of bytes, of numbers, of words and lines, of chunks, and of what is packed within.

Most changes leave a file that is nearly a good one, for a reader refuses at its first bytes what is not.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np

from tests.fuzz import _packed

Rng = np.random.Generator

_NUMBERS = [0, 1, 2**7, 2**8 - 1, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**62, 2**63 - 1, 2**63, 2**64 - 1]
_TEXTS = [
    "0", "-1", "1", "2", "-0", "+1", "1e999", "-1e-999", "nan", "inf", "1²", "٣", "１２", "9" * 30, "9" * 4301,
    "4294967296", "9223372036854775807", "18446744073709551616", "0x10", "1e5", "1.5", "1_0", "", "é", "\0", "\x1a",
    "  ", "\r", "\ufeff", "\u2028", '"', "'", '""', "#", ",", ";", "None", "true", "[", "{", "A" * 5000,
]  # fmt: skip
_SEPARATORS = [b",", b";", b"\t", b" ", b"  ", b"|", b":"]
_LINE_ENDS = [b"\r\n", b"\r", b"\n\n", b" \n", b"\x0b", "\u2028".encode(), b"\0"]
_HEAD = 600  # bytes in which headers stand
_TEXT = re.compile(rb"[\t\n\r -~]+")
_WORD = re.compile(rb"[^\s,;:=\"'(){}\[\]|/]+")


def damage(data: bytes, seed: int) -> bytes:
    """A copy with one to four changes, the most of them near the start; of what is packed, mostly within."""
    rng, data = np.random.default_rng(seed), _packed.dateless(data)
    packed = _packed.find(data)
    if packed and rng.random() < 0.7:
        return packed(data, rng, changed)
    return changed(data, rng)


def changed(data: bytes, rng: Rng) -> bytes:
    """A copy with one to four changes of bytes, numbers, words, lines or chunks."""
    out = bytearray(data)
    for _ in range(rng.integers(1, 5)):
        if not out:
            break
        start, stop = _text(out)
        share = rng.random()
        if stop - start > 20 and share < (0.7 if stop - start > 0.9 * len(out) else 0.3):
            _pick(rng, _TEXT_WAYS)(out, start, stop, rng)
        else:
            reach = len(out) if rng.random() < 0.5 else min(len(out), _HEAD)
            _pick(rng, _BYTE_WAYS)(out, int(rng.integers(reach)), rng)
    return bytes(out)


def _pick(rng: Rng, choices):
    return choices[rng.integers(len(choices))]


def _text(out: bytearray) -> tuple[int, int]:
    """The longest run of printable letters near the start: a header, or the whole of a text."""
    longest = max(_TEXT.finditer(out, 0, 1 << 16), key=lambda m: m.end() - m.start(), default=None)
    return longest.span() if longest else (0, 0)


def _any_byte(out, at, rng):
    out[at] = rng.integers(256)


def _bit(out, at, rng):
    out[at] ^= 1 << int(rng.integers(8))


def _order(rng):
    return "little" if rng.random() < 0.7 else "big"


def _number(out, at, rng):
    size = int(rng.choice([1, 2, 4, 8]))
    out[at : at + size] = (int(_pick(rng, _NUMBERS)) % (1 << 8 * size)).to_bytes(size, _order(rng))


def _near_number(out, at, rng):
    """A number that counts is a few more or less, or twice or half of what it was; aligned, as headers have them."""
    size, order = int(rng.choice([1, 2, 4, 8])), _order(rng)
    at -= at % min(size, 4) if rng.random() < 0.7 else 0
    value = int.from_bytes(out[at : at + size], order)
    ways = (value + int(rng.integers(-16, 17)), 2 * value, value // 2, -value, value + (1 << 8 * size - 8))
    out[at : at + size] = (_pick(rng, ways) % (1 << 8 * size)).to_bytes(size, order)


def _file_number(out, at, rng):
    """A number is the size of the file, what of it is left, or a place in it."""
    size = int(rng.choice([4, 8]))
    value = _pick(rng, (len(out), len(out) - at, len(out) - at - size, at, int(rng.integers(len(out)))))
    out[at : at + size] = (value + int(rng.integers(-1, 2)) & (1 << 32) - 1).to_bytes(size, _order(rng))


def _cut(out, at, rng):
    del out[at:]


def _remove(out, at, rng):
    del out[at : at + int(rng.integers(1, 40))]


def _insert(out, at, rng):
    out[at:at] = rng.bytes(int(rng.integers(1, 40)))


def _repeat(out, at, rng):
    start = int(rng.integers(len(out)))
    out[at:at] = out[start : start + int(rng.integers(1, 200))]


def _exchange(out, at, rng):
    """Two spans of one size change places."""
    size, other = int(_pick(rng, (1, 2, 4, 8, 16, 60))), int(rng.integers(len(out)))
    first, second = sorted((at, other))
    if first + size <= second and second + size <= len(out):
        out[first : first + size], out[second : second + size] = (
            out[second : second + size],
            out[first : first + size],
        )


def _fill(out, at, rng):
    size = int(rng.integers(1, 64))
    out[at : at + size] = bytes([_pick(rng, (0, 255, 32, 48))]) * len(out[at : at + size])


def _behind(out, at, rng):
    out += _pick(rng, (b"\0", bytes(1000), b"\n", b"\xff" * 7, bytes(out[:50]), bytes(out)))


def _change_word(out, at, rng):
    """Another text in place of the run of digits and letters at a place."""
    stop = at
    while stop < len(out) and chr(out[stop]).isalnum():
        stop += 1
    out[at:stop] = _pick(rng, _TEXTS).encode()


def _chunks(out, at, rng):
    out[:] = _packed.chunks(bytes(out), rng)


def _words(out, start, stop):
    return [m.span() for m in _WORD.finditer(out, start, stop)] or [(start, stop)]


def _other_word(out, start, stop, rng):
    """A word is a hostile one, another of the file, or a number near to it."""
    words = _words(out, start, stop)
    (a, b), (c, d) = _pick(rng, words), _pick(rng, words)
    old = bytes(out[a:b])
    new = [_pick(rng, _TEXTS).encode(), bytes(out[c:d])]
    if old.isdigit() and len(old) < 19:
        new += [b"%d" % (int(old) + k) for k in (-1, 1, int(rng.integers(-99, 99)))]
        new += [old.decode().translate(_ELSEWHERE).encode(), b"-" + old, b"0" + old, old + b".0"]
    out[a:b] = _pick(rng, new)


_ELSEWHERE = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")  # digits to Python, and to no one else


def _word_away(out, start, stop, rng):
    a, b = _pick(rng, _words(out, start, stop))
    del out[a : b + int(rng.integers(2))]


def _word_twice(out, start, stop, rng):
    a, b = _pick(rng, _words(out, start, stop))
    out[b:b] = _pick(rng, (b" ", b",", b"\t", b"\n", b"")) + out[a:b]


def _quote(out, start, stop, rng):
    a, b = _pick(rng, _words(out, start, stop))
    quote = _pick(rng, (b'"', b"'"))
    out[a:b] = quote + out[a:b] + quote * int(rng.integers(2))


def _lines(out, start, stop, rng):
    """A line is gone, twice there, elsewhere, joined with the next, or of another's columns."""
    lines = bytes(out[start:stop]).split(b"\n")
    i, j = (int(k) for k in rng.integers(len(lines), size=2))
    way = rng.integers(6)
    if way == 0:
        del lines[i]
    elif way == 1:
        lines.insert(j, lines[i])
    elif way == 2:
        lines[i], lines[j] = lines[j], lines[i]
    elif way == 3:
        lines[i : i + 2] = [b"".join(lines[i : i + 2])]
    elif way == 4:
        lines[i] = b""
    else:
        lines[i : i + 1] = [lines[i][: len(lines[i]) // 2], lines[i][len(lines[i]) // 2 :]]
    out[start:stop] = b"\n".join(lines)


def _separators(out, start, stop, rng):
    """Every separator, or some, are others."""
    old, new = _pick(rng, _SEPARATORS), _pick(rng, _SEPARATORS)
    out[start:stop] = bytes(out[start:stop]).replace(old, new, int(_pick(rng, (1, 3, -1))))


def _line_ends(out, start, stop, rng):
    new = _pick(rng, _LINE_ENDS)
    out[start:stop] = bytes(out[start:stop]).replace(b"\n", new, int(_pick(rng, (1, 5, -1))))


def _encoding(out, start, stop, rng):
    """Bytes that are no UTF-8, another encoding, a mark at the start."""
    way = rng.integers(3)
    if way == 0:
        at = int(rng.integers(start, stop))
        out[at:at] = _pick(rng, (b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\0"))
    elif way == 1:
        out[start:stop] = bytes(out[start:stop]).decode("latin1").encode(_pick(rng, ("utf-16", "utf-16-be", "utf-7")))
    else:
        out[:0] = b"\xef\xbb\xbf"


_BYTE_WAYS: list[Callable[[bytearray, int, Rng], None]] = [
    _any_byte, _bit, _number, _near_number, _near_number, _file_number, _cut, _remove, _insert, _repeat, _exchange,
    _fill, _behind, _change_word, _chunks,
]  # fmt: skip
_TEXT_WAYS: list[Callable[[bytearray, int, int, Rng], None]] = [
    _other_word, _other_word, _other_word, _word_away, _word_twice, _quote, _lines, _lines, _separators, _line_ends,
    _encoding,
]  # fmt: skip
