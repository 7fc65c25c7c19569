"""A small multilayer perceptron: its values, its gradient, the losses of its output.  Trusts its caller: C-contiguous, n > 0.

Backpropagation (Rumelhart, Hinton and Williams, 1986) of 64 rows at a time, while all they need is in the first-level cache
(_network_gradient.pxd). Bound by arithmetic: values cost a multiply-add a row and weight, gradients 3, and 2 in the first
layer, which needs no derivative by its input. Sums have a fixed order: the same bits on any CPU.

Parameters are one vector: for each hidden layer weights (inputs, units) and biases; then the weights and the bias of the one
output, and zeros to a whole vector; or, where there are classes, weights and biases of their logits as of one more layer.

What several calls share are records of the shell, read by their attributes: `net` (sizes, widths, activation_number, classes),
`loss` (power, address, unit, pull); those of network_training.pyx too, and `rule` (batch_size, momentum_only, first, second),
`share` (turned, grads, totals, rooms, counters).
"""

from libc.stdint cimport uintptr_t
from libc.string cimport memcpy

from fastdl_ext._common cimport cloned, real
from fastdl_ext._lanes cimport inlined
from fastdl_ext._loss_terms cimport Loss, loss_of, pointwise, terms
from fastdl_ext._network_gradient cimport Objective, Parameters, Rows, gradient, net_of, objective_of, part_of, table_of, take
from fastdl_ext._network_layers cimport ROWS, Net, forward, turn
from fastdl_ext._softmax cimport cross_entropy


cdef inlined rows_of(const Net* net, const Rows* rows, const Parameters* now, real* work, real* out,
                     real* features) noexcept nogil:
    # The output, and the values of the last layer, each where it is asked for.
    cdef const real* params = <const real*>now.values
    cdef real bias = params[now.size - 64 // sizeof(real)]
    cdef real y[ROWS]
    cdef Rows part
    cdef Py_ssize_t start, i, units = net.sizes[net.layers]
    cdef real* last = work + ROWS * rows.columns
    for i in range(1, net.layers):
        last += 2 * ROWS * net.sizes[i]
    start = 0
    while start < rows.n:
        part = part_of(rows, start, min(ROWS, rows.n - start))
        take(&part, work)
        forward(net, params, part.n, work, y)
        if out != NULL:
            for i in range(part.n):
                out[start + i] = y[i] + bias
        if features != NULL:
            memcpy(features + start * units, last, part.n * units * sizeof(real))
        start += part.n


cdef inlined one_gradient(const Net* net, const Rows* rows, const Objective* objective, Parameters* now, real* work, real* grad,
                          double* total) noexcept nogil:
    cdef real* turned = work
    cdef Py_ssize_t layer
    for layer in range(1, net.layers):
        work += net.sizes[layer] * net.sizes[layer + 1]
    turn(net, <const real*>now.values, turned)
    now.turned = turned
    gradient(net, rows, objective, objective.pull, now, work, grad, total)


cdef inlined probabilities_of(const real* z, const real* y, Py_ssize_t n, Py_ssize_t width, Py_ssize_t classes, double* value,
                              double* q) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        value[i] = cross_entropy(z + i * width, classes, <Py_ssize_t>y[i], q + i * classes)


cdef cloned rows_f32(const Net* net, const Rows* rows, const Parameters* now, float* work, float* out,
                     float* features) noexcept nogil:
    rows_of(net, rows, now, work, out, features)


cdef cloned rows_f64(const Net* net, const Rows* rows, const Parameters* now, double* work, double* out,
                     double* features) noexcept nogil:
    rows_of(net, rows, now, work, out, features)


cdef cloned gradient_f32(const Net* net, const Rows* rows, const Objective* objective, Parameters* now, float* work,
                         float* grad, double* total) noexcept nogil:
    one_gradient(net, rows, objective, now, work, grad, total)


cdef cloned gradient_f64(const Net* net, const Rows* rows, const Objective* objective, Parameters* now, double* work,
                         double* grad, double* total) noexcept nogil:
    one_gradient(net, rows, objective, now, work, grad, total)


cdef cloned losses(const double* r, Py_ssize_t n, const Loss* q, double* value, double* slope) noexcept nogil:
    terms(q, r, n, value, slope)


cdef cloned class_losses(const double* z, const double* y, Py_ssize_t n, Py_ssize_t classes, double* value,
                         double* q) noexcept nogil:
    probabilities_of(z, y, n, classes, classes, value, q)


def loss_terms(const double[::1] r, loss, double[::1] value, double[::1] slope):
    """Write the losses of residuals, and their derivatives."""
    cdef Loss q = loss_of(loss.power, <pointwise><uintptr_t>loss.address, False)
    if not r.shape[0]:
        return
    with nogil:
        losses(&r[0], r.shape[0], &q, &value[0], &slope[0])


def softmax_terms(const double[:, ::1] z, const double[::1] y, double[::1] value, double[:, ::1] probabilities):
    """Write the cross-entropy of each row of logits and its label, and the probabilities of the classes."""
    if not z.shape[0]:
        return
    with nogil:
        class_losses(&z[0, 0], &y[0], z.shape[0], z.shape[1], &value[0], &probabilities[0, 0])


def values(net, const real[:, ::1] X, const real[::1] params, real[::1] out, real[:, ::1] features):
    """Write the output and the values of the last layer, each where it is not None."""
    cdef const Py_ssize_t[::1] sizes = net.sizes, widths = net.widths
    cdef Net shape = net_of(net, sizes, widths)
    cdef real[::1] work = net.work()
    cdef Rows table = table_of[real](X, None, None)
    cdef Parameters now = Parameters(&params[0], NULL, params.shape[0])
    cdef real* y = NULL if out is None else &out[0]
    cdef real* z = NULL if features is None else &features[0, 0]
    with nogil:
        if real is float:
            rows_f32(&shape, &table, &now, &work[0], y, z)
        else:
            rows_f64(&shape, &table, &now, &work[0], y, z)


def loss_grad(net, loss, const real[:, ::1] X, const real[::1] y, const real[::1] s, const real[::1] params, real[::1] grad,
              double[::1] total):
    """Add to grad the derivatives of the loss, to total the loss and the weights."""
    cdef const Py_ssize_t[::1] sizes = net.sizes, widths = net.widths
    cdef Net shape = net_of(net, sizes, widths)
    cdef Objective objective = objective_of(loss, real is float)
    cdef real[::1] work = net.work()
    cdef Rows table = table_of[real](X, y, s)
    cdef Parameters now = Parameters(&params[0], NULL, params.shape[0])
    with nogil:
        if real is float:
            gradient_f32(&shape, &table, &objective, &now, &work[0], &grad[0], &total[0])
        else:
            gradient_f64(&shape, &table, &objective, &now, &work[0], &grad[0], &total[0])
