from fastdl.graphs.aggregation import aggregate as aggregate
from fastdl.graphs.aggregation import aggregate_blocks as aggregate_blocks
from fastdl.graphs.graph import Graph as Graph
from fastdl.graphs.graph import degree as degree
from fastdl.graphs.graph import gcn_norm as gcn_norm
