"""The row losses for other people's Cython: `from fastdl_ext.losses cimport residuals_f32`; see docs/lowlevel.md."""

from fastdl_ext._common cimport cloned
from fastdl_ext._loss_terms cimport pointwise

# residual[i] = y[i] - b - <X[i], w> for n rows of d columns.
cdef cloned residuals_f32(const float* X, const float* y, const float* w, double b, Py_ssize_t n, Py_ssize_t d,
                          double* residual) noexcept nogil
cdef cloned residuals_f64(const double* X, const double* y, const double* w, double b, Py_ssize_t n, Py_ssize_t d,
                          double* residual) noexcept nogil
# value[i] = |residual[i]|**p and its derivative, 0 where the residual is 0.
cdef cloned lp_terms(const double* residual, Py_ssize_t n, double p, double* value, double* slope) noexcept nogil
# total[j] += sum_i g[i] X[i, j]: the second product, made to follow the first while X is in the cache.
cdef cloned products_f32(const float* X, const float* g, Py_ssize_t n, Py_ssize_t d, double* total) noexcept nogil
cdef cloned products_f64(const double* X, const double* g, Py_ssize_t n, Py_ssize_t d, double* total) noexcept nogil
