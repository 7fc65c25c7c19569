"""Genomes and reads: FASTA, FASTQ, 2bit, plain or compressed; regions; one-hot arrays on disk."""

from fastdl import _lazy

__getattr__, __dir__, __all__ = _lazy.door(__name__)
