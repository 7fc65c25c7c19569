from fastdl.sequences.complement import reverse_complement as reverse_complement
from fastdl.sequences.decoding import one_hot_decode as one_hot_decode
from fastdl.sequences.encoding import DNA as DNA  # not in fastdl
from fastdl.sequences.encoding import LIKE as LIKE  # not in fastdl
from fastdl.sequences.encoding import PROTEIN as PROTEIN  # not in fastdl
from fastdl.sequences.encoding import RNA as RNA  # not in fastdl
from fastdl.sequences.encoding import one_hot as one_hot
from fastdl.sequences.kmers import KmerCounts as KmerCounts  # not in fastdl
from fastdl.sequences.kmers import Minimizers as Minimizers  # not in fastdl
from fastdl.sequences.kmers import kmer_count as kmer_count
from fastdl.sequences.kmers import kmer_index as kmer_index
from fastdl.sequences.kmers import minimizers as minimizers
from fastdl.sequences.packed import PackedSequence as PackedSequence
from fastdl.sequences.tokens import SPECIAL as SPECIAL  # not in fastdl
from fastdl.sequences.tokens import KmerTokens as KmerTokens  # not in fastdl
from fastdl.sequences.tokens import kmer_tokens as kmer_tokens
from fastdl.sequences.tokens import kmer_vocabulary as kmer_vocabulary  # not in fastdl
from fastdl.sequences.tokens import padding_mask as padding_mask
from fastdl.sequences.variants import Variants as Variants  # not in fastdl
from fastdl.sequences.variants import apply_variants as apply_variants
from fastdl.sequences.windows import one_hot_windows as one_hot_windows
