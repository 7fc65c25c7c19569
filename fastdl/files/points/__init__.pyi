from fastdl.files.points.clouds import open_points as open_points
from fastdl.files.points.clouds import write_points as write_points
