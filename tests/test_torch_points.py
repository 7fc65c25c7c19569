"""Voxels in PyTorch: gradients, and the same batches in every kind of worker."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
torch.set_num_threads(1)  # threads that wait for each other on a busy machine take minutes

from fastdl import InputError, InputTypeError  # noqa: E402
from fastdl.points.reduction import voxel_reduce as of_arrays  # noqa: E402
from fastdl.torch import PointAugmentation, PointVoxels, voxel_reduce  # noqa: E402
from fastdl.torch.points import DIFFERENTIABLE  # noqa: E402

ENDS = (-4, -4, -2, 4, 4, 2)


def clouds(n=6, points=400):
    return [np.random.default_rng(k).normal(0, 2, (points + k, 4)).astype("f4") for k in range(n)]


def data(**settings):
    augment = PointAugmentation(flip="xy", rotate=(-0.7, 0.7), scale=(0.95, 1.05))
    return PointVoxels(clouds(), (0.5, 0.5, 1), ENDS, max_points=4, max_voxels=200, augment=augment, seed=3, **settings)


@pytest.mark.parametrize("reduce", DIFFERENTIABLE)
@pytest.mark.parametrize("ranged", [False, True])
def test_gradients_are_those_of_finite_differences(reduce, ranged):
    rng = np.random.default_rng(0)
    points = torch.from_numpy(rng.uniform(0, 2, (30, 3)))
    features = torch.from_numpy(rng.normal(size=(30, 2))).requires_grad_()
    ends = (0, 0, 0, 2, 2, 1) if ranged else None
    how = {"reduce": reduce, "order": "sorted", "seed": 5}
    assert torch.autograd.gradcheck(lambda f: voxel_reduce(points, 1.0, ends, features=f, **how).values, features)
    got = voxel_reduce(points, 1.0, ends, features=features, **how)
    both = np.concatenate([points.numpy(), features.detach().numpy()], axis=1)
    want = of_arrays(both, 1.0, ends, **how)
    np.testing.assert_array_equal(got.values.detach().numpy(), want.points[:, 3:])
    np.testing.assert_array_equal(got.inverse.numpy(), want.inverse)


@pytest.mark.parametrize("reduce", DIFFERENTIABLE)
def test_gradients_reach_the_points_of_the_values(reduce):
    points = torch.from_numpy(np.random.default_rng(1).uniform(-3, 3, (300, 4)).astype("f4")).requires_grad_()
    got = voxel_reduce(points, 1.0, ENDS, reduce=reduce, seed=2)
    got.values.sum().backward()
    inside = got.inverse >= 0
    assert (points.grad[~inside] == 0).all()
    want = got.counts.sum() if reduce == "sum" else len(got.counts)
    np.testing.assert_allclose(points.grad.sum(0).numpy(), float(want), rtol=1e-5)
    if reduce not in ("sum", "mean"):
        row, column = points.grad.nonzero(as_tuple=True)
        assert (points[row, column] == got.values[got.inverse[row], column]).all()


def test_bad_tensors():
    with pytest.raises(InputTypeError, match="tensor"):
        voxel_reduce(np.zeros((3, 3)), 1.0)
    with pytest.raises(InputTypeError, match="float16"):
        voxel_reduce(torch.zeros(3, 3, dtype=torch.float16), 1.0)
    with pytest.raises(InputError, match="reduce"):
        voxel_reduce(torch.zeros(3, 3), 1.0, reduce="median")
    with pytest.raises(InputError, match="scale"):
        PointAugmentation(scale=(0, 1))


def batches(dataset, **loader):
    loader = torch.utils.data.DataLoader(dataset, batch_size=2, collate_fn=dataset.collate, **loader)
    return [(b.voxels, b.coords, b.counts, b.indices) for b in loader]


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_the_same_batches_in_every_worker(start):
    want = batches(data(sample="random"))
    got = batches(data(sample="random"), num_workers=2, multiprocessing_context=start)
    assert len(got) == len(want) == 3
    for a, b in zip(got, want):
        assert all(torch.equal(x, y) for x, y in zip(a, b))


def test_epochs_differ_and_repeat():
    dataset = data()
    first = dataset[2][0]
    dataset.set_epoch(1)
    assert dataset[2][0].shape != first.shape or (dataset[2][0] != first).any()
    np.testing.assert_array_equal(dataset[0, 2][0], first)
    items = [item for epoch in dataset.epoch_sampler(2) for item in epoch]
    assert sorted(items) == [(e, k) for e in (0, 1) for k in range(6)]
    assert items == [item for epoch in data().epoch_sampler(2) for item in epoch]


class PillarNet(torch.nn.Module):
    """PointPillars' feature net (Lang et al., 2019): linear, batch norm, ReLU, the maximum of a pillar; and a head."""

    def __init__(self, size, ends):
        super().__init__()
        self.size, self.ends = size, ends
        self.linear, self.norm = torch.nn.Linear(9, 32, bias=False), torch.nn.BatchNorm1d(32)
        self.head = torch.nn.Linear(32, 1)

    def forward(self, batch):
        import fastdl

        x = fastdl.voxel_features(batch.voxels, batch.counts, batch.coords, self.size, self.ends, kind="pointpillars9")
        x = self.linear(torch.from_numpy(x))
        x = self.norm(x.flatten(0, 1)).view_as(x)
        return self.head(torch.relu(x).amax(1))[:, 0]


def train_on_scans(scans, start):
    """The losses of a net that tells how much of each pillar stands above the road; two workers, two epochs."""
    size, ends = (0.32, 0.32, 4), (0, -20, -3, 40, 20, 1)
    torch.manual_seed(0)
    turned = PointAugmentation(flip="y", rotate=(-0.5, 0.5), scale=(0.95, 1.05))
    data = PointVoxels(scans, size, ends, max_points=20, augment=turned, seed=3)
    loader = torch.utils.data.DataLoader(
        data, batch_size=2, collate_fn=data.collate, num_workers=2, multiprocessing_context=start
    )
    net = PillarNet(size, ends)
    optimizer = torch.optim.Adam(net.parameters(), 0.01)
    losses = []
    for epoch in range(3):
        data.set_epoch(epoch)
        for batch in loader:
            z = batch.voxels[..., 2].amax(1)
            loss = torch.nn.functional.binary_cross_entropy_with_logits(net(batch), (z > -1.2).float())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    return losses


def test_a_pillar_feature_net_learns_on_a_scan_of_kitti(shared_data):
    points = np.fromfile(shared_data / "kitti_000008.bin", "<f4").reshape(-1, 4)
    scans = [points[k::8].copy() for k in range(8)]
    losses = train_on_scans(scans, "fork")
    assert losses == train_on_scans(scans, "spawn")
    assert np.mean(losses[-4:]) < 0.5 * np.mean(losses[:2])


def test_a_pillar_feature_net_learns():
    """PointPillars' first layer, a linear map and a maximum over the points of a pillar, tells clouds apart."""
    import fastdl

    torch.manual_seed(0)
    size, ends = (0.5, 0.5, 4), ENDS
    low = [c * (1, 1, 0.3, 1) for c in clouds(8, 300)]
    dataset = PointVoxels([c.astype("f4") for c in low] + clouds(8, 300), size, ends, max_points=16)
    layer, head = torch.nn.Linear(9, 16), torch.nn.Linear(16, 1)
    steps = torch.optim.Adam([*layer.parameters(), *head.parameters()], 0.05)
    batch = dataset.collate([dataset[k] for k in range(16)])
    features = fastdl.voxel_features(batch.voxels, batch.counts, batch.coords, size, ends, kind="pointpillars9")
    features, cloud = torch.from_numpy(features), batch.coords[:, 0].long()
    losses = []
    for _ in range(60):
        pillars = head(torch.relu(layer(features)).amax(1))[:, 0]
        score = torch.zeros(16).index_add(0, cloud, pillars) / torch.bincount(cloud)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(score, (batch.indices >= 8).float())
        steps.zero_grad()
        loss.backward()
        steps.step()
        losses.append(loss.item())
    assert losses[-1] < 0.3 * losses[0]
