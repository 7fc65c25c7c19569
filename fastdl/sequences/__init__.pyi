from fastdl.sequences.complement import kmer_index as kmer_index
from fastdl.sequences.complement import reverse_complement as reverse_complement
from fastdl.sequences.encoding import LIKE as LIKE
from fastdl.sequences.encoding import one_hot as one_hot
from fastdl.sequences.encoding import one_hot_decode as one_hot_decode
from fastdl.sequences.windows import PackedSequence as PackedSequence
from fastdl.sequences.windows import one_hot_windows as one_hot_windows
