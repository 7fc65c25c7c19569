"""Errors for names of sequences that a file does not have, with a suggestion of what was meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path

from fastdl import _check


def missing(path: str | Path, name: object, names: Iterable[str]) -> _check.InputError:
    """The error that a sequence is not in a file; it suggests a similar name, if there is one."""
    known = list(names)
    meant = likely(str(name), known)
    advice = f"did you mean {meant!r}?" if meant else f"it holds {some(known)}"
    return _check.InputError(f"{path} holds no sequence {name!r}; {advice}")


def likely(name: str, known: list[str]) -> str | None:
    """A known name that may be meant: with or without chr, MT for M, in other case, or nearly the same."""
    bare = name[3:] if name.lower().startswith("chr") else name
    bare = "M" if bare.upper() == "MT" else bare
    tried = (bare, f"chr{bare}", *(("MT", "chrMT") if bare.upper() == "M" else ()))
    folded = {each.lower(): each for each in known}
    for each in tried:
        if each.lower() in folded:
            return folded[each.lower()]
    close = difflib.get_close_matches(name, known[:10_000], 1, 0.8)
    return close[0] if close else None


def some(names: Iterable[str]) -> str:
    """A few names, for a message."""
    listed = list(names)
    return ", ".join(map(repr, listed[:5])) + (f" and {len(listed) - 5} more" if len(listed) > 5 else "")
