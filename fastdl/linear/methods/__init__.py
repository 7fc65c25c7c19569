"""The methods of `fit_lp`: a module for each value of `method=`, and what they share."""
