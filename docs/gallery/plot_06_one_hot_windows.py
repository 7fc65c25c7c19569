"""
One-hot windows on both strands
===============================

A model of DNA reads windows of a genome as rows of four numbers. A window of the reverse strand is the reverse
complement: the picture turned by half a circle. Windows over the end of the sequence are padded.
"""

import matplotlib.pyplot as plt
import numpy as np

import fastdl

gene = "GGCTATAAAAGGCCGCCACCATGGCTNNACGTTTGACCTAAGATTC"
starts = [gene.index("ATG") - 6, gene.index("ATG") - 6, -5, len(gene) - 15]
windows = fastdl.one_hot_windows(gene, starts, 20, strand="+-++", layout="first")
print(windows.shape, windows.dtype)

titles = ["forward strand", "the same, reverse strand", "begins before the sequence", "ends behind it"]
fig, axes = plt.subplots(2, 2, figsize=(10, 3.4), layout="constrained")
for ax, window, title in zip(axes.flat, windows, titles):
    letters = fastdl.one_hot_decode(window, layout="first", unknown_char="-").tobytes().decode()
    ax.imshow(window, cmap="Greys", aspect="auto", vmin=0, vmax=1)
    ax.set(title=title, yticks=range(4), yticklabels="ACGT", xticks=range(20), xticklabels=letters)
    ax.tick_params(length=0, labelsize=8)
plt.show()

# %%
# The reverse complement of one-hot rows reverses both axes:
print(bool((windows[1] == windows[0][::-1, ::-1]).all()))

# %%
# What an unknown letter becomes is a choice; ``like=`` makes it as another library does.
fig, axes = plt.subplots(1, 4, figsize=(10, 1.8), sharey=True, layout="constrained")
for ax, unknown in zip(axes, ("zero", "uniform", "iupac", "channel")):
    x = fastdl.one_hot("ACGTNRY", unknown=unknown, dtype=np.float32, layout="first")
    ax.imshow(x, cmap="Greys", aspect="auto", vmin=0, vmax=1)
    ax.set(title=f"unknown={unknown!r}", xticks=range(7), xticklabels="ACGTNRY", yticks=range(5))
    ax.tick_params(length=0, labelsize=8)
axes[0].set(yticklabels=["A", "C", "G", "T", "other"], ylim=(4.5, -0.5))
plt.show()
