"""The kernels for calls of a few items: NumPy has no quicker way for these."""


def no_quicker_way(*arguments):
    """Nothing, by which a shell goes its usual way."""
