"""The compiled kernels: they trust their caller, raise nothing, allocate no result and start no thread."""
