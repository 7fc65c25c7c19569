"""What each function means, in NumPy, as short as it can be said; also the fallback and the oracle of the tests."""
