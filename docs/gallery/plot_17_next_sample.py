"""
Predicting the next sample
==========================

WaveNet predicts the class of the next sample from the classes before it. Here is the smallest model of that kind,
without a framework: the last eight samples are features, the next one is the target, and a small network learns it.
The same windows for PyTorch are below.
"""

import matplotlib.pyplot as plt
import numpy as np

import fastdl
from fastdl.report.samples import RATE, voice

codes = fastdl.mu_law_encode(voice(1.0))
samples = codes.astype(np.float32) / 128 - 1  # classes are evenly spaced in loudness as it is heard
windows = np.lib.stride_tricks.sliding_window_view(samples, 9)
parts = fastdl.split(len(windows), (8, 2), seed=0)
train, test = windows[parts.rows(0)], windows[parts.rows(1)]

losses = {"the last sample again": np.abs(test[:, 7] - test[:, 8])}
linear = fastdl.fit_lp(train[:, :8], train[:, 8], p=1)
losses["linear, p = 1"] = np.abs(linear.predict(test[:, :8]) - test[:, 8])
network = fastdl.fit_network(train[:, :8], train[:, 8], hidden=(32, 16), p=1, epochs=30, seed=0)
losses["network, p = 1"] = np.abs(network.predict(test[:, :8]) - test[:, 8])

fig, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
for name, error in losses.items():
    left.plot(
        np.sort(error) * 128, np.linspace(0, 1, len(error)), label=f"{name}: mean {128 * error.mean():.1f} classes"
    )
left.set(xscale="log", xlim=(0.1, 100), xlabel="error (classes)", ylabel="part of the test samples below")
left.legend(fontsize=8)
loudest = int(np.abs(samples).argmax())
piece = slice(loudest - 80, loudest + 80)
right.plot(np.arange(160) / RATE * 1000, windows[piece, 8], "k", lw=0.8, label="recorded")
right.plot(np.arange(160) / RATE * 1000, network.predict(windows[piece, :8]), "C2.", ms=3, label="predicted")
right.set(xlabel="time (ms)", ylabel="loudness, -1 to 1")
right.legend(fontsize=8)
plt.show()

# %%
# In PyTorch, ``fastdl.torch.AudioWindows`` gives such windows as classes, from files, in workers:
#
# .. code-block:: python
#
#    from torch.utils.data import DataLoader
#    from fastdl.torch import AudioWindows
#
#    windows = AudioWindows("recordings/", length=4096, seed=0)
#    for epoch in range(100):
#        windows.set_epoch(epoch)
#        for codes, targets in DataLoader(windows, batch_size=16, num_workers=4):
#            loss = torch.nn.functional.cross_entropy(model(codes), targets)
#            loss.backward()
#            optimizer.step()
#            optimizer.zero_grad()
