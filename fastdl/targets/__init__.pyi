from fastdl.targets.bins import BinnedTarget as BinnedTarget
from fastdl.targets.bins import MergedBins as MergedBins
from fastdl.targets.labels import BinaryTarget as BinaryTarget
from fastdl.targets.labels import ClassTarget as ClassTarget
from fastdl.targets.quantiles import QuantileSketch as QuantileSketch
from fastdl.targets.standard import StandardTarget as StandardTarget
