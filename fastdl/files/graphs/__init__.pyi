from fastdl.files.graphs.edges import read_edges as read_edges
from fastdl.files.graphs.edges import read_graph as read_graph
from fastdl.files.graphs.edges import read_named_graph as read_named_graph
