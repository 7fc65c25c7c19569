"""The methods of `fit_lp`: a module for each value of `method=`, and private modules that they share."""
