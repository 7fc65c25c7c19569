"""The gradient of a network's loss over any rows: what one call and the training of many have in common.

Rows are gathered 64 at a time, go forward, are compared with their targets, and go back (_network_layers.pxd), while all they
need is in the first-level cache.  Bound by arithmetic: 3 multiply-adds a row and weight.
"""

from libc.stdint cimport int64_t, uintptr_t
from libc.string cimport memcpy, memset

from fastdl_ext._common cimport real
from fastdl_ext._lanes cimport inlined
from fastdl_ext._loss_terms cimport Loss, loss_of, pointwise, terms
from fastdl_ext._network_layers cimport ROWS, Net, backward, forward
from fastdl_ext._softmax cimport cross_entropy

# Numbers behind `void*` are all float or all double, as the function that reads them is.

cdef struct Rows:
    const char* X               # (., sizes[0])
    const char* y               # (.,)
    const char* s               # (.,) weights, or NULL: all 1
    const int64_t* order        # (n,) the numbers of the rows, or NULL: the first n
    Py_ssize_t n
    Py_ssize_t columns          # of X
    Py_ssize_t size             # bytes of a number

cdef struct Objective:
    Loss loss
    double unit                 # residuals are taken so many times: those of a custom loss in the units of y
    double pull                 # ... and their slopes so many times

cdef struct Parameters:
    const void* values
    const void* turned          # the weights of every layer but the first, transposed, for the way back
    Py_ssize_t size             # how many values, with those that pad to whole vectors


cdef inline Rows part_of(const Rows* rows, Py_ssize_t start, Py_ssize_t n) noexcept nogil:
    # n of the rows, from number `start` on.
    cdef Rows part = rows[0]
    part.n = n
    if rows.order != NULL:
        part.order = rows.order + start
    else:
        part.X = rows.X + start * rows.columns * rows.size
        part.y = rows.y + start * rows.size
        if rows.s != NULL:
            part.s = rows.s + start * rows.size
    return part


cdef inline inlined take(const Rows* rows, real* x) noexcept nogil:
    # The rows, and rows of zeros to a multiple of 8: layers are computed for eight rows at a time.
    cdef Py_ssize_t i, d = rows.columns, n = rows.n
    cdef const real* X = <const real*>rows.X
    if rows.order == NULL:
        memcpy(x, X, n * d * sizeof(real))
    else:
        for i in range(n):
            memcpy(x + i * d, X + rows.order[i] * d, d * sizeof(real))
    memset(x + n * d, 0, (-n & 7) * d * sizeof(real))


cdef inline inlined logit_slopes(const Net* net, const Rows* rows, double scale, const real* z, double* q, real* delta,
                                 double* total) noexcept nogil:
    # The derivatives of the cross-entropy of each row by its logits z, and zeros for rows to a multiple of 8.
    cdef Py_ssize_t i, j, k, label, units = net.sizes[net.layers]
    cdef const real* y = <const real*>rows.y
    cdef const real* s = <const real*>rows.s
    cdef double weight
    memset(delta, 0, ((rows.n + 7) & ~7) * units * sizeof(real))
    for i in range(rows.n):
        k = i if rows.order == NULL else rows.order[i]
        label = <Py_ssize_t>y[k]
        weight = 1 if s == NULL else s[k]
        total[0] += weight * cross_entropy(z + i * units, net.classes, label, q)
        total[1] += weight
        q[label] -= 1
        for j in range(net.classes):
            delta[i * units + j] = <real>(scale * weight * q[j])


cdef inline inlined residual_slopes(const Rows* rows, const Objective* objective, double scale, const real* out, real bias,
                                    real* g, double* total) noexcept nogil:
    # The derivatives of the loss of each residual by the output, of at most ROWS rows, and zeros for the others.
    cdef const real* y = <const real*>rows.y
    cdef const real* s = <const real*>rows.s
    cdef double r[ROWS]
    cdef double value[ROWS]
    cdef double slope[ROWS]
    cdef double weight
    cdef Py_ssize_t i, k
    memset(g, 0, ROWS * sizeof(real))
    for i in range(rows.n):
        k = i if rows.order == NULL else rows.order[i]
        r[i] = objective.unit * (<double>y[k] - <double>(out[i] + bias))
    terms(&objective.loss, r, rows.n, value, slope)
    for i in range(rows.n):
        weight = 1 if s == NULL else s[i if rows.order == NULL else rows.order[i]]
        total[0] += weight * value[i]
        total[1] += weight
        g[i] = <real>(-scale * weight * slope[i])


cdef inline inlined gradient(const Net* net, const Rows* rows, const Objective* objective, double scale, const Parameters* now,
                             real* work, real* grad, double* total) noexcept nogil:
    # Add to grad scale times the derivatives of the loss; to total the sums of the losses and of the weights.
    cdef const real* params = <const real*>now.values
    cdef real bias = params[now.size - 64 // sizeof(real)]
    cdef real out[ROWS]
    cdef real g[ROWS]
    cdef Rows part
    cdef Py_ssize_t i, start, widest = 0
    cdef real* spare = work + ROWS * rows.columns
    cdef real* last = work
    for i in range(1, net.layers + 1):
        last = spare
        spare += 2 * ROWS * net.sizes[i]
        widest = max(widest, net.sizes[i])
    start = 0
    while start < rows.n:
        part = part_of(rows, start, min(ROWS, rows.n - start))
        take(&part, work)
        forward(net, params, part.n, work, out)
        if net.classes:
            logit_slopes(net, &part, scale, last, <double*>(spare + 2 * ROWS * widest), spare, total)
        else:
            residual_slopes(&part, objective, scale, out, bias, g, total)
        backward(net, params, <const real*>now.turned, part.n, work, g, spare, grad)
        start += part.n


cdef inline Net net_of(object net, const Py_ssize_t[::1] sizes, const Py_ssize_t[::1] widths):
    return Net(sizes.shape[0] - 1, &sizes[0], &widths[0], net.activation_number, net.classes)


cdef inline Objective objective_of(object loss, bint single):
    return Objective(loss_of(loss.power, <pointwise><uintptr_t>loss.address, single), loss.unit, loss.pull)


cdef inline Rows table_of(const real[:, ::1] X, const real[::1] y, const real[::1] s):
    cdef const char* targets = NULL
    cdef const char* weights = NULL
    if y is not None:
        targets = <const char*>&y[0]
    if s is not None:
        weights = <const char*>&s[0]
    return Rows(<const char*>&X[0, 0], targets, weights, NULL, X.shape[0], X.shape[1], sizeof(real))
