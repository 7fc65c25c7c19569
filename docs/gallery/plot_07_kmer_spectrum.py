"""
The k-mer spectrum of reads
===========================

How often each word of k letters occurs tells how deep a genome was sequenced, how many errors the reads have, and
which parts of it are repeated. Words of both strands count as one.
"""

import matplotlib.pyplot as plt
import numpy as np

import fastdl

rng = np.random.default_rng(0)
genome = rng.choice(np.frombuffer(b"ACGT", np.uint8), 60_000)
genome[30_000:36_000] = genome[5_000:11_000]  # a repeat

# %%
# Reads of 100 letters, from either strand, each letter wrong with a chance of one in 200.
starts = rng.integers(0, len(genome) - 100, 24_000)
reads = genome[starts[:, None] + np.arange(100)]
turned = rng.random(len(reads)) < 0.5
reads[turned] = fastdl.reverse_complement(reads[turned])
wrong = rng.random(reads.shape) < 1 / 200
reads[wrong] = rng.choice(np.frombuffer(b"ACGT", np.uint8), wrong.sum())

counts = fastdl.kmer_count(list(reads), 21, canonical=True, sparse=True)
print(f"{counts.counts.sum():,} words, {len(counts.numbers):,} different ones")

fig, ax = plt.subplots(figsize=(8, 3.6), layout="constrained")
ax.bar(*np.unique(np.minimum(counts.counts, 90), return_counts=True), width=1)
ax.set(yscale="log", xlabel="how often a word of 21 letters occurs", ylabel="different words")
for at, text in ((1, "errors"), (29, "once in the genome"), (60, "in the repeat")):
    ax.annotate(text, (at, 2e4), (at + 2, 9e4), arrowprops={"arrowstyle": "->"})
ax.set_ylim(0.7, 3e5)
plt.show()

# %%
# Minimizers keep a few words only, the same few for sequences that share a stretch: what mappers search by.
found = fastdl.minimizers(genome, 15, 10)
print(f"{len(found.positions):,} of {len(genome) - 14:,} words, {len(found.positions) / len(genome):.1%}")
