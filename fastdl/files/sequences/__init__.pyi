from fastdl.files.sequences.bed import read_bed as read_bed
from fastdl.files.sequences.fasta import Fasta as Fasta
from fastdl.files.sequences.fastq import Fastq as Fastq
from fastdl.files.sequences.genomes import open_sequences as open_sequences
from fastdl.files.sequences.twobit import TwoBit as TwoBit
