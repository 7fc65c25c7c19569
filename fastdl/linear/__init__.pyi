from fastdl.linear.fit import fit_lp as fit_lp
from fastdl.linear.logistic import LogisticFit as LogisticFit
from fastdl.linear.logistic import fit_logistic as fit_logistic
from fastdl.linear.methods.gradient import gradient_descent as gradient_descent
from fastdl.linear.methods.random import random_search as random_search
from fastdl.linear.result import Certificate as Certificate
from fastdl.linear.result import LpFit as LpFit
