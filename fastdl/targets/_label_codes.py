"""Labels of any kind (numbers, str, bytes): their distinct values, and look-up tables from labels to codes and back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from fastdl import _check, _kernels
from fastdl._threads import split_rows
from fastdl._typing import Array, ArrayLike
from fastdl.reference import _target_kernels
from fastdl.reference import audio as audio_reference

kernel = _kernels.load("targets") or _target_kernels
audio = _kernels.load("audio") or audio_reference

_BLOCK = 1 << 18  # labels of a block: large beside the cost of handing it to a thread, small enough for an even split
_FEW = 1 << 10  # codes up to which NumPy's look-up is faster than filling a table of full size for the kernel
_CACHED_BITS = 18  # bits of the number of classes up to which a hash table of 8 slots each, 4 bytes a slot, is cached
_RANGE = 1 << 16  # entries of a table indexed by integer labels that is always worth its memory
_UNSIGNED = {size: np.dtype(f"u{size}") for size in (1, 2, 4, 8)}
_KINDS = {"b": "numbers", "i": "numbers", "u": "numbers", "f": "numbers", "U": "str", "S": "bytes"}


def read(name: str, y: ArrayLike) -> Array:
    """`y` as an array of labels, contiguous and in the machine's byte order."""
    if not isinstance(y, np.ndarray):
        y = _texts(name, y)
    if isinstance(y, np.ndarray) and y.dtype == object:
        y = y.tolist()
    if isinstance(y, (list, tuple)):
        if set(map(type, y)) in ({str}, {bytes}):
            y = _array_of_texts(name, y)
        elif _mixed(y):
            raise _check.InputTypeError(f"{name} must hold numbers, str or bytes, one of these, got a mix")
        else:
            _refuse_nul(name, y)
    y = _check.asarray(name, y)
    if y.dtype.kind == "T":
        y = y.astype(str)
    if y.dtype.kind not in _KINDS:
        raise _check.InputTypeError(f"{name} must hold numbers, bool, str or bytes, got {y.dtype}")
    if y.dtype.kind == "f" and y.dtype.itemsize not in (4, 8):
        y = y.astype(np.float32 if y.dtype.itemsize == 2 else np.float64)
    return _check.array(name, y)


def _texts(name: str, y: ArrayLike) -> ArrayLike:
    """The texts of a column of pandas, polars or pyarrow as a list; anything else unchanged."""
    if isinstance(y, (list, tuple)):
        return y
    found = _check.texts(name, y)
    return y if found is None else found


def _array_of_texts(name: str, y: Sequence[str] | Sequence[bytes]) -> Array:
    """Texts as an array. NumPy converts each distinct one once, which is several times as fast as converting all."""
    places = {text: k for k, text in enumerate(dict.fromkeys(y))}
    distinct = np.array(list(places))
    if sum(map(len, places)) != int(np.char.str_len(distinct).sum()):
        _refuse_nul(name, y)
    return distinct[np.fromiter(map(places.__getitem__, y), np.intp, len(y))]


def _refuse_nul(name: str, y: Iterable[object]) -> None:
    """Raise for text that ends in NUL: NumPy's fixed-width text drops it, which would make two labels equal."""
    for at, v in enumerate(y):
        if isinstance(v, (str, bytes)) and v[-1:] in ("\0", b"\0"):
            raise _check.InputError(
                f"{name} must not end in NUL, which NumPy's text does not keep, got {v!r} at index {at}"
            )


def _mixed(y: Iterable[object]) -> bool:
    """Whether a list holds text and something else, which NumPy would turn into text."""
    kinds = set()
    for v in y:
        if isinstance(v, (list, tuple)):
            if _mixed(v):
                return True
            v = v[0] if v else None
        kinds.add(bytes if isinstance(v, bytes) else str if isinstance(v, str) else None)
    return len(kinds) > 1


def same_kind(name: str, y: Array, classes: Array) -> None:
    """Raise where labels are of another kind than the classes (numbers, str, bytes) and could never equal them."""
    got, known = _KINDS[y.dtype.kind], _KINDS[classes.dtype.kind]
    if got != known and y.size:
        raise _check.InputTypeError(f"{name} must hold {known}, as the labels before did, got {got}")


def learn(name: str, classes: Array | None, y: Array) -> Array | None:
    """The sorted distinct labels of `classes` and of flat `y`."""
    start, size = 0, 1 << 12
    while start < len(y):
        part = y[start : start + size]
        if classes is None:
            new = part
        else:
            same_kind(name, part, classes)
            unseen = np.empty(len(part), np.uint8)
            LabelEncoder(classes, np.zeros(len(classes), np.uint8), 1, part.dtype).encode(part, unseen, 1)
            new = part[unseen.view(bool)]
        if new.dtype.kind == "f" and np.isnan(new).any():
            at = start + int(np.flatnonzero(np.isnan(part))[0])
            raise _check.InputError(f"{name} must not hold NaN, which is no label, got one at index {at}")
        if len(new):
            classes = np.unique(new) if classes is None else union(name, classes, np.unique(new))
        start, size = start + size, min(2 * size, 1 << 20)
    return classes


def union(name: str, a: Array, b: Array) -> Array:
    """The sorted distinct labels of both, in a dtype that holds all of them exactly."""
    same_kind(name, b, a)
    common = np.result_type(a, b)
    if common.kind == "f" and a.dtype.kind in "biu" and b.dtype.kind in "biu":
        dtypes = [np.dtype(np.int64), np.dtype(np.uint64)]
    else:
        dtypes = [common, np.dtype(np.int64)] if common.kind == "f" else [common]
    for dtype in dtypes:
        if _held(a, dtype).all() and _held(b, dtype).all():
            return np.union1d(a.astype(dtype), b.astype(dtype))
    raise _check.InputTypeError(f"{name} holds {b.dtype}, which with the {a.dtype} before fits no dtype exactly")


def _held(x: Array, dtype: np.dtype) -> Array:
    """A mask of the values of x that `dtype` holds exactly."""
    with np.errstate(invalid="ignore", over="ignore"):
        cast = x.astype(dtype)
        same = cast.astype(x.dtype) == x
    return same if x.dtype.kind in "US" else same & ((cast < 0) == (x < 0))


class LabelEncoder:
    """Encodes labels of one dtype: values[k] for a label that equals classes[k], `missing` for one that equals none.

    A `missing` of None says that every value of the dtype is in use: codes are then found in int64, with -1 for
    missing.
    """

    _run: Callable[[Array, Array], int]
    #: The values of few labels in one call, or None where that cannot be.
    few: Callable[[Array], Array | None] = staticmethod(_target_kernels.small_encode)

    def __init__(self, classes: Array, values: Array, missing: float | np.generic | None, dtype: np.dtype):
        self.missing = missing
        if missing is None:
            self._run = LabelEncoder(classes, values.astype(np.int64), -1, dtype)._narrowed
            return
        dtype = np.dtype(np.uint8) if dtype.kind == "b" else dtype
        kept = _held(classes, dtype)
        self.keys, self.dtype = classes[kept].astype(dtype), dtype
        self.table = np.append(values[kept], values.dtype.type(missing))
        if not len(self.keys):
            self._run = self._none
        elif dtype.kind in "iu" and self._span() <= max(_RANGE, 8 * len(self.keys)):
            self._run = self._by_range()
        elif dtype.kind in "US":
            self._run = self._by_items()
        else:
            self._run = self._by_keys()

    def encode(self, y: Array, out: Array, threads: int | None) -> int:
        """Write codes to `out`; returns the number of labels that equal no class (exact if `missing` is no value)."""
        y = y.view(np.uint8) if y.dtype.kind == "b" else y
        return sum(split_rows(self._run, (y, out), threads, _BLOCK))

    def _narrowed(self, y: Array, out: Array) -> int:
        wide = np.empty(len(y), np.int64)
        missed = self._run(y, wide)
        out[:] = wide
        return missed

    def _none(self, y: Array, out: Array) -> int:
        out[:] = self.table[-1]
        return len(y)

    def _span(self) -> int:
        return int(self.keys[-1]) - int(self.keys[0]) + 1

    def _by_range(self) -> Callable[[Array, Array], int]:
        """The look-up of integers in a table indexed by label."""
        low = int(self.keys[0])
        wide = np.full(self._span() + 1, self.table[-1], self.table.dtype)
        wide[[int(k) - low for k in self.keys.tolist()]] = self.table[:-1]
        first, values = low, wide
        if -(2**63) <= first < 2**63:
            self.few = lambda y: kernel.small_encode_range(y, first, values)
        low, wide = low % (1 << 8 * self.dtype.itemsize), _bits(wide)
        return lambda y, out: kernel.encode_range(_bits(y), low, wide, _bits(out))

    def _by_keys(self) -> Callable[[Array, Array], int]:
        """The look-up of numbers in a hash table."""
        shift, slots = self._slots()
        keys, table = _keys(self.keys), _bits(self.table)
        kernel.hash_keys(keys, shift, slots)
        self.few = lambda y: kernel.small_encode_keys(y, keys, shift, slots, self.table)
        return lambda y, out: kernel.encode_keys(_keys(y), keys, shift, slots, table, _bits(out))

    def _by_items(self) -> Callable[[Array, Array], int]:
        """The look-up of texts in a hash table."""
        shift, slots = self._slots()
        items, size, table = self.keys.view(np.uint8), self.dtype.itemsize, _bits(self.table)
        kernel.hash_items(items, size, shift, slots)
        return lambda y, out: kernel.encode_items(y.view(np.uint8), items, size, shift, slots, table, _bits(out))

    def _slots(self) -> tuple[int, Array]:
        """An empty hash table of eight slots per key, or of two where eight would not fit the caches.

        A sparse table is worth its memory: each collision is a branch misprediction, as costly as five look-ups.
        """
        bits = len(self.keys).bit_length()
        bits += 3 if bits <= _CACHED_BITS else 1
        return 64 - bits, np.full(1 << bits, -1, np.int32)


def _keys(y: Array) -> Array:
    """Numbers as 64-bit keys that are equal where the numbers are: integers widened, -0.0 replaced by 0.0."""
    if y.dtype.kind == "f":
        return (y.astype(np.float64, copy=False) + 0.0).view(np.uint64)
    return y.astype(f"{y.dtype.kind}8", copy=False).view(np.uint64)


def _bits(x: Array) -> Array:
    return x.view(_UNSIGNED[x.itemsize])


def free(values: Array) -> np.generic | None:
    """A value of the dtype that is not among the values; None where all are."""
    bits = _bits(values)
    unused = np.setdiff1d(np.arange(min(len(bits) + 1, 1 << 8 * bits.itemsize), dtype=bits.dtype), bits)
    return unused[:1].view(values.dtype)[0] if len(unused) else None


def first(bad: Array, shape: tuple[int, ...]) -> tuple[int, int | tuple[int, ...]]:
    """The position of the first True: its flat index, and its index into an array of `shape`."""
    at = int(np.flatnonzero(bad)[0])
    return at, at if len(shape) == 1 else tuple(map(int, np.unravel_index(at, shape)))


def codes(name: str, z: ArrayLike, count: int) -> Array:
    """The class numbers: integers 0 to count - 1 unchanged, or the argmax over the last axis of scores (..., count)."""
    z = _check.array(name, z, ("i", "u", "f")) if np.size(z) else np.empty(np.shape(z), np.int64)
    if z.dtype.kind != "f":
        if z.size and not (z.dtype.kind == "u" and count >> 8 * z.itemsize) and _beyond(z, count):
            at, place = first((z < 0) | (z >= count), z.shape)
            raise _check.InputError(f"{name} must be between 0 and {count - 1}, got {z.flat[at]} at index {place}")
        return z
    if z.ndim < 2 or z.shape[-1] != count:
        raise _check.InputError(f"{name} must be integers, or scores of shape (N, {count}), got {z.dtype} {z.shape}")
    best = z.argmax(-1)
    wrong = np.isnan(np.take_along_axis(z, best[..., None], -1))
    if wrong.any():
        raise _check.InputError(f"{name} must not hold NaN, got one in row {int(np.flatnonzero(wrong)[0])}")
    return best


def _beyond(z: Array, count: int) -> bool:
    """Whether a code is outside 0 to count - 1; seen as unsigned, a negative one is larger than any that is inside."""
    most = int(_bits(z).max())
    return most >= count


def gather(table: Array, codes: Array, out: Array, threads: int | None) -> None:
    """out = table[codes], for flat codes that are in range."""
    narrow = np.dtype(np.uint8 if len(table) <= 256 else np.uint16)
    if len(codes) <= _FEW or len(table) > 65536 or table.dtype.kind not in "iuf" or table.itemsize not in (2, 4, 8):
        split_rows(lambda some, to: table.take(some, out=to, mode="clip"), (codes, out), threads, _BLOCK)
        return
    whole = np.zeros(256 if narrow == np.uint8 else 65536, f"u{table.itemsize}")
    whole[: len(table)] = _bits(table)
    bits = _bits(out)
    run = audio.decode
    split_rows(lambda some, to: run(some.astype(narrow, copy=False), whole, to), (codes, bits), threads, _BLOCK)
