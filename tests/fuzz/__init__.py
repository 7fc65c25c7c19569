"""Programs that attack what the tests cannot list: `python -m tests.fuzz files --seconds 60 --seed 1`."""
