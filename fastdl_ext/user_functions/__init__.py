"""The user's own losses, features and reductions, compiled by Numba into loops; the only folder that imports it."""
