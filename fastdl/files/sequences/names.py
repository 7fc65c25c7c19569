"""Names of sequences that are not there: what they may have been meant to be."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path

from fastdl import _check


def missing(path: str | Path, name: object, names: Iterable[str]) -> _check.InputError:
    """The error that a sequence is not in a file: with the name that was meant, where one is like it."""
    known = list(names)
    meant = likely(str(name), known)
    advice = f"did you mean {meant!r}?" if meant else f"it holds {some(known)}"
    return _check.InputError(f"{path} holds no sequence {name!r}; {advice}")


def likely(name: str, known: list[str]) -> str | None:
    """The known name that is meant: with chr or without, MT for M, other case, or nearly the same."""
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
