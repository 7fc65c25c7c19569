"""Examples of `fastdl.torch` are collected where torch is installed; the rest needs no peer."""

import importlib.util

collect_ignore_glob = [] if importlib.util.find_spec("torch") else ["fastdl/torch/*"]
