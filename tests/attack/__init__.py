"""`make attack`: hostile use, at random, for a given time; see __main__.py."""
