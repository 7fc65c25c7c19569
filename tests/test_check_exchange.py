"""Arrays of other libraries, in and out, over the same memory: DLPack, the array interface, tensors of PyTorch."""

import numpy as np
import pytest

import fastdl
from fastdl import _check


class ByDlpack:
    """Memory that DLPack alone gives."""

    def __init__(self, x, device=None):
        self.x, self.device = x, device

    def __dlpack__(self, **options):
        return self.x.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.device or self.x.__dlpack_device__()


class ByInterface:
    """Memory that the array interface alone gives."""

    def __init__(self, x):
        self.x = x

    @property
    def __array_interface__(self):
        return self.x.__array_interface__


def as_tensor(x):
    return pytest.importorskip("torch").from_numpy(x)


WAYS = {"dlpack": ByDlpack, "interface": ByInterface, "memoryview": memoryview, "torch": as_tensor}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32, np.float64])
def test_values_are_read_where_they_are(way, dtype):
    x = np.arange(12, dtype=dtype).reshape(4, 3)
    got = _check.array("x", WAYS[way](x))
    assert got.dtype == dtype
    assert got.shape == x.shape
    assert got.ctypes.data == x.ctypes.data
    assert got.flags.c_contiguous


CALLS = {
    "mu_law_encode": lambda x, **o: fastdl.mu_law_encode(x, **o),
    "vandermonde": lambda x, **o: fastdl.vandermonde(x, 3, **o),
    "aggregate": lambda x, **o: fastdl.aggregate(fastdl.Graph.from_edges(np.array([[0, 1], [2, 3]])), x, **o),
    "polynomial_features": lambda x, **o: fastdl.polynomial_features(x, 2, **o),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", CALLS)
def test_functions_take_them_and_write_to_them(name, way):
    x = np.random.default_rng(0).uniform(-1, 1, (4, 3)).astype(np.float32)
    x = x[:, 0].copy() if name == "vandermonde" else x
    call = CALLS[name]
    given = WAYS[way](x)
    want = call(x)
    np.testing.assert_array_equal(call(given), want)
    if way in ("dlpack", "torch"):
        target = np.zeros_like(want)
        got = call(given, out=WAYS[way](target))
        np.testing.assert_array_equal(target, want)
        assert isinstance(got, np.ndarray)
        assert got.ctypes.data == target.ctypes.data


def test_results_become_tensors_without_a_copy():
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(0).uniform(0, 9, (50, 4)).astype(np.float32)
    voxels = fastdl.voxelize(x, 1.0, [0, 0, 0, 9, 9, 9])
    graph = fastdl.Graph.from_edges(np.array([[0, 1], [1, 2], [2, 0]]))
    results = [fastdl.mu_law_encode(x), fastdl.one_hot("ACGT"), voxels.voxels, voxels.coords, voxels.counts]
    results += [fastdl.voxel_downsample(x, 1.0), fastdl.aggregate(graph, x[:3]), fastdl.kmer_index("ACGTAC", 3)]
    results += [graph.indptr, graph.indices, fastdl.fit_lp(x[:, :2], x[:, 2]).w]
    for result in results:
        tensor = torch.from_dlpack(result)
        assert tensor.data_ptr() == result.ctypes.data
        assert tuple(tensor.shape) == result.shape
        assert torch.equal(tensor, torch.tensor(np.array(result)))


def test_an_output_must_fit_and_overlap_nothing():
    torch = pytest.importorskip("torch")
    x = torch.zeros(4, dtype=torch.uint8)
    with pytest.raises(fastdl.InputError, match=r"out must be a writable.* uint8 array of shape \(4,\), got int64"):
        fastdl.mu_law_encode(x, out=torch.zeros(4, dtype=torch.int64))
    with pytest.raises(fastdl.InputError, match="non-contiguous"):
        fastdl.mu_law_encode(x, out=torch.zeros(8, dtype=torch.uint8)[::2])
    memory = np.zeros(4, np.uint8)
    for given, target in ((x, x), (ByDlpack(memory), memory), (memory, ByDlpack(memory))):
        with pytest.raises(fastdl.InputError, match="must not overlap"):
            fastdl.mu_law_encode(given, out=target)


def test_tensors_that_cannot_be_read_say_why():
    torch = pytest.importorskip("torch")
    with pytest.raises(fastdl.InputTypeError, match=r"x .*requires grad.*detach"):
        fastdl.mu_law_encode(torch.ones(3, requires_grad=True))
    with pytest.raises(fastdl.InputTypeError, match=r"out .*requires grad.*detach"):
        fastdl.mu_law_encode(torch.ones(3), out=torch.ones(3, requires_grad=True))
    with pytest.raises(fastdl.InputTypeError, match=r"x .*meta device.*\.cpu\(\)"):
        fastdl.mu_law_encode(torch.ones(3, device="meta"))
    with pytest.raises(fastdl.InputTypeError, match=r"x .*Sparse.*to_dense"):
        fastdl.mu_law_encode(torch.eye(3).to_sparse())
    with pytest.raises(
        fastdl.InputTypeError, match=r"x must be in the memory of the CPU.*ByDlpack on device 1 .* kind 2"
    ):
        fastdl.mu_law_encode(ByDlpack(np.ones(3), (2, 1)))
    with pytest.raises(fastdl.InputTypeError, match="x cannot be read as an array"):
        fastdl.mu_law_encode(ByDlpack(np.array([1 + 2j]).byteswap().view(">c16")))
