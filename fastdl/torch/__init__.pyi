from fastdl.torch.graphs import GraphBatches as GraphBatches
from fastdl.torch.graphs import SampledBatch as SampledBatch
from fastdl.torch.graphs import aggregate as aggregate
from fastdl.torch.graphs import collate_graphs as collate_graphs
from fastdl.torch.graphs import edge_dots as edge_dots
from fastdl.torch.graphs import edge_softmax as edge_softmax
from fastdl.torch.sequences import GenomeWindows as GenomeWindows
