"""A small multilayer perceptron: its values, its gradient, its training.  Trusts its caller: C-contiguous, n > 0.

Backpropagation and Adam (Kingma and Ba, 2015).  64 rows at a time go forward and back while all they need is in the
first-level cache (_network_layers.pxd); a batch costs 3 multiply-adds a row and weight (2 in the first layer), which is what
bounds it.  Sums have a fixed order: the same bits on any CPU.
A batch is cut into pieces of 128 rows whose gradients are added by a fixed tree, so that threads may share the pieces
(_work_sharing.pxd) and any number of them gives the same bits.

Parameters are one vector: for each hidden layer weights (inputs, units) and biases; then the weights and the bias of the one
output, and zeros to a whole vector; or, where there are classes, weights and biases of their logits as of one more layer.

What several calls share are records of the shell, read by their attributes: `net` (sizes, widths, activation_number, classes), `loss`
(power, address, unit, pull), `rule` (batch_size, momentum_only, first, second), `share` (grads, totals, rooms, counters).
"""

from libc.math cimport sqrt, sqrtf
from libc.stdint cimport int64_t, uintptr_t
from libc.string cimport memcpy, memset

from fastdl_ext._common cimport cloned, real
from fastdl_ext._lanes cimport inlined
from fastdl_ext._loss_terms cimport Loss, loss_of, pointwise, terms
from fastdl_ext._network_layers cimport ROWS, Net, backward, forward, turn
from fastdl_ext._softmax cimport cross_entropy
from fastdl_ext._work_sharing cimport (
    Counters, all_finished, end_all, ended, finish_piece, open_pieces, take_piece, wait_a_little,
)

cdef enum:
    PIECE = 128         # rows whose gradient is summed by one thread: adding it to the others' costs 3 % at 64 columns
    PATIENCE = 1 << 20  # waits, of a system call each but the first, in a row: a second or so

cdef struct Rule:
    bint momentum               # one moment alone: gradient descent, not Adam
    double first
    double second


cdef inlined take(const real* X, Py_ssize_t d, const int64_t* order, Py_ssize_t n, real* x) noexcept nogil:
    # n rows of X, and rows of zeros to a multiple of 8.
    cdef Py_ssize_t i
    if order == NULL:
        memcpy(x, X, n * d * sizeof(real))
    else:
        for i in range(n):
            memcpy(x + i * d, X + order[i] * d, d * sizeof(real))
    memset(x + n * d, 0, (-n & 7) * d * sizeof(real))


cdef inlined logit_slopes(const Net* net, const real* z, const real* y, const real* s, const int64_t* order, Py_ssize_t start,
                          Py_ssize_t m, double scale, double* q, real* delta, double* total) noexcept nogil:
    # The derivatives of the cross-entropy of m rows by their logits z, and of rows of zeros to a multiple of 8.
    cdef Py_ssize_t i, j, k, label, units = net.sizes[net.layers]
    cdef double weight
    memset(delta, 0, ((m + 7) & ~7) * units * sizeof(real))
    for i in range(m):
        k = start + i if order == NULL else order[start + i]
        label = <Py_ssize_t>y[k]
        weight = 1 if s == NULL else s[k]
        total[0] += weight * cross_entropy(z + i * units, net.classes, label, q)
        total[1] += weight
        q[label] -= 1
        for j in range(net.classes):
            delta[i * units + j] = <real>(scale * weight * q[j])


cdef inlined gradient(const Net* net, const real* X, const real* y, const real* s, const int64_t* order, Py_ssize_t n,
                      const Loss* q, double unit, double scale, const real* params, const real* turned, real bias,
                      real* work, real* grad, double* total) noexcept nogil:
    # Add to grad scale times the derivatives of the loss; to total the sums of the losses and of the weights.
    cdef real out[ROWS]
    cdef real g[ROWS]
    cdef double r[ROWS]
    cdef double value[ROWS]
    cdef double slope[ROWS]
    cdef Py_ssize_t i, k, start, m, widest = 0, d = net.sizes[0]
    cdef double weight
    cdef real* spare = work + ROWS * d
    cdef real* last = work
    for i in range(1, net.layers + 1):
        last = spare
        spare += 2 * ROWS * net.sizes[i]
        widest = max(widest, net.sizes[i])
    start = 0
    while start < n:
        m = min(ROWS, n - start)
        take(X if order != NULL else X + start * d, d, NULL if order == NULL else order + start, m, work)
        forward(net, params, m, work, out)
        if net.classes:
            logit_slopes(net, last, y, s, order, start, m, scale, <double*>(spare + 2 * ROWS * widest), spare, total)
        else:
            memset(g, 0, sizeof(g))
            for i in range(m):
                k = start + i if order == NULL else order[start + i]
                r[i] = unit * (<double>y[k] - <double>(out[i] + bias))
            terms(q, r, m, value, slope)
            for i in range(m):
                weight = 1 if s == NULL else s[start + i if order == NULL else order[start + i]]
                total[0] += weight * value[i]
                total[1] += weight
                g[i] = <real>(-scale * weight * slope[i])
        backward(net, params, turned, m, work, g, spare, grad)
        start += m


cdef inlined update(const Net* net, const Rule* rule, const double* step, const real* grad, real* params, real* first,
                    real* second, Py_ssize_t n) noexcept nogil:
    # step: how far, what keeps the quotient finite, what is left of the weights by their decay.
    cdef Py_ssize_t i, layer, weights
    cdef real rate = <real>step[0], least = <real>step[1], left = <real>step[2]
    cdef real b1 = <real>rule.first, b2 = <real>rule.second, c1 = <real>(1 - rule.first), c2 = <real>(1 - rule.second)
    cdef real* w = params
    if left != 1:
        for layer in range(net.layers + (net.classes == 0)):
            weights = net.sizes[layer] * (net.sizes[layer + 1] if layer < net.layers else 1)
            for i in range(weights):
                w[i] *= left
            w += weights + (net.sizes[layer + 1] if layer < net.layers else 1)
    if rule.momentum:
        for i in range(n):
            first[i] = b1 * first[i] + grad[i]
            params[i] -= rate * first[i]
    else:
        for i in range(n):
            first[i] = b1 * first[i] + c1 * grad[i]
            second[i] = b2 * second[i] + c2 * grad[i] * grad[i]
            if real is float:
                params[i] -= rate * first[i] / (sqrtf(second[i]) + least)
            else:
                params[i] -= rate * first[i] / (sqrt(second[i]) + least)


cdef inlined pieces(const Net* net, const real* X, const real* y, const real* s, const int64_t* order, Py_ssize_t n,
                    Py_ssize_t batch, const Loss* q, double unit, double pull, const real* params, const real* turned,
                    Py_ssize_t size, real* work, real* grads, double* totals, Counters* counters, int* spins) noexcept nogil:
    # Take pieces of the open batch as long as there are any: the gradient of each by itself.
    cdef Py_ssize_t each = (batch + PIECE - 1) // PIECE, step, k, start, m, first
    cdef int64_t taken = take_piece(counters)
    while taken >= 0:
        step = taken // each
        k = taken - step * each
        start = step * batch
        m = min(batch, n - start)
        first = k * PIECE
        memset(grads + k * size, 0, size * sizeof(real))
        gradient(net, X, y, s, order + start + first, min(PIECE, m - first), q, unit, pull / m, params, turned,
                 params[size - 64 // sizeof(real)], work, grads + k * size, totals + 2 * k)
        finish_piece(counters)
        spins[0] = 0
        taken = take_piece(counters)


cdef inlined add_pieces(real* grads, double* totals, Py_ssize_t count, Py_ssize_t size, double* total) noexcept nogil:
    # Neighbours, then neighbours of these: the tree depends on the number of pieces alone.
    cdef Py_ssize_t i, k, apart = 1
    while apart < count:
        k = 0
        while k + apart < count:
            for i in range(size):
                grads[k * size + i] += grads[(k + apart) * size + i]
            k += 2 * apart
        apart *= 2
    for k in range(count):
        total[0] += totals[2 * k]
        total[1] += totals[2 * k + 1]
        totals[2 * k] = 0
        totals[2 * k + 1] = 0


cdef inlined steps(const Net* net, const real* X, const real* y, const real* s, const int64_t* order, Py_ssize_t n,
                   Py_ssize_t batch, const Loss* q, double unit, double pull, const Rule* rule, const double* step,
                   real* params, real* moments, Py_ssize_t size, real* turned, real* work, real* grads, double* totals,
                   Counters* counters, double* total) noexcept nogil:
    # The rows of `order` in batches, for each one step, by the thread that leads.
    cdef Py_ssize_t start, m, count
    cdef int spins = 0
    start = 0
    while start < n:
        m = min(batch, n - start)
        count = (m + PIECE - 1) // PIECE
        turn(net, params, turned)
        open_pieces(counters, count)
        pieces(net, X, y, s, order, n, batch, q, unit, pull, params, turned, size, work, grads, totals, counters,
               &spins)
        spins = 0
        while not all_finished(counters):
            wait_a_little(&spins)
        add_pieces(grads, totals, count, size, total)
        update(net, rule, step, grads, params, moments, moments + size, size)
        start += m
        step += 3
    end_all(counters)


cdef inlined helping(const Net* net, const real* X, const real* y, const real* s, const int64_t* order, Py_ssize_t n,
                     Py_ssize_t batch, const Loss* q, double unit, double pull, const real* params, const real* turned,
                     Py_ssize_t size, real* work, real* grads, double* totals, Counters* counters) noexcept nogil:
    # What the other threads do until all steps are done, or nothing was to be done for long: nobody waits for them.
    cdef int spins = 0
    while not ended(counters) and spins < PATIENCE:
        pieces(net, X, y, s, order, n, batch, q, unit, pull, params, turned, size, work, grads, totals, counters,
               &spins)
        wait_a_little(&spins)


cdef inlined rows_of(const Net* net, const real* X, Py_ssize_t n, const real* params, real bias, real* work, real* out,
                     real* features) noexcept nogil:
    # The output, and the values of the last layer, each where it is asked for.
    cdef real y[ROWS]
    cdef Py_ssize_t start, m, i, d = net.sizes[0], units = net.sizes[net.layers]
    cdef real* last = work + ROWS * d
    for i in range(1, net.layers):
        last += 2 * ROWS * net.sizes[i]
    start = 0
    while start < n:
        m = min(ROWS, n - start)
        take(X + start * d, d, NULL, m, work)
        forward(net, params, m, work, y)
        if out != NULL:
            for i in range(m):
                out[start + i] = y[i] + bias
        if features != NULL:
            memcpy(features + start * units, last, m * units * sizeof(real))
        start += m


cdef inlined one_gradient(const Net* net, const real* X, const real* y, const real* s, Py_ssize_t n, const Loss* q,
                          const real* params, Py_ssize_t size, real* work, real* grad, double* total) noexcept nogil:
    cdef real* turned = work
    cdef Py_ssize_t layer
    for layer in range(1, net.layers):
        work += net.sizes[layer] * net.sizes[layer + 1]
    turn(net, params, turned)
    gradient(net, X, y, s, NULL, n, q, 1, 1, params, turned, params[size - 64 // sizeof(real)], work, grad, total)


cdef inlined probabilities_of(const real* z, const real* y, Py_ssize_t n, Py_ssize_t width, Py_ssize_t classes, double* value,
                              double* q) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        value[i] = cross_entropy(z + i * width, classes, <Py_ssize_t>y[i], q + i * classes)


cdef cloned rows_f32(const Net* net, const float* X, Py_ssize_t n, const float* params, float bias, float* work, float* out,
                     float* features) noexcept nogil:
    rows_of(net, X, n, params, bias, work, out, features)


cdef cloned rows_f64(const Net* net, const double* X, Py_ssize_t n, const double* params, double bias, double* work,
                     double* out, double* features) noexcept nogil:
    rows_of(net, X, n, params, bias, work, out, features)


cdef cloned gradient_f32(const Net* net, const float* X, const float* y, const float* s, Py_ssize_t n, const Loss* q,
                         const float* params, Py_ssize_t size, float* work, float* grad, double* total) noexcept nogil:
    one_gradient(net, X, y, s, n, q, params, size, work, grad, total)


cdef cloned gradient_f64(const Net* net, const double* X, const double* y, const double* s, Py_ssize_t n, const Loss* q,
                         const double* params, Py_ssize_t size, double* work, double* grad, double* total) noexcept nogil:
    one_gradient(net, X, y, s, n, q, params, size, work, grad, total)


cdef cloned steps_f32(const Net* net, const float* X, const float* y, const float* s, const int64_t* order, Py_ssize_t n,
                      Py_ssize_t batch, const Loss* q, double unit, double pull, const Rule* rule, const double* step,
                      float* params, float* moments, Py_ssize_t size, float* turned, float* work, float* grads, double* totals,
                      Counters* counters, double* total) noexcept nogil:
    steps(net, X, y, s, order, n, batch, q, unit, pull, rule, step, params, moments, size, turned, work, grads, totals, counters,
          total)


cdef cloned steps_f64(const Net* net, const double* X, const double* y, const double* s, const int64_t* order, Py_ssize_t n,
                      Py_ssize_t batch, const Loss* q, double unit, double pull, const Rule* rule, const double* step,
                      double* params, double* moments, Py_ssize_t size, double* turned, double* work, double* grads,
                      double* totals, Counters* counters, double* total) noexcept nogil:
    steps(net, X, y, s, order, n, batch, q, unit, pull, rule, step, params, moments, size, turned, work, grads, totals, counters,
          total)


cdef cloned helping_f32(const Net* net, const float* X, const float* y, const float* s, const int64_t* order, Py_ssize_t n,
                        Py_ssize_t batch, const Loss* q, double unit, double pull, const float* params, const float* turned,
                        Py_ssize_t size, float* work, float* grads, double* totals, Counters* counters) noexcept nogil:
    helping(net, X, y, s, order, n, batch, q, unit, pull, params, turned, size, work, grads, totals, counters)


cdef cloned helping_f64(const Net* net, const double* X, const double* y, const double* s, const int64_t* order, Py_ssize_t n,
                        Py_ssize_t batch, const Loss* q, double unit, double pull, const double* params, const double* turned,
                        Py_ssize_t size, double* work, double* grads, double* totals, Counters* counters) noexcept nogil:
    helping(net, X, y, s, order, n, batch, q, unit, pull, params, turned, size, work, grads, totals, counters)


cdef cloned losses(const double* r, Py_ssize_t n, const Loss* q, double* value, double* slope) noexcept nogil:
    terms(q, r, n, value, slope)


cdef cloned class_losses(const double* z, const double* y, Py_ssize_t n, Py_ssize_t classes, double* value,
                         double* q) noexcept nogil:
    probabilities_of(z, y, n, classes, classes, value, q)


cdef Net net_of(object net, const Py_ssize_t[::1] sizes, const Py_ssize_t[::1] widths):
    return Net(sizes.shape[0] - 1, &sizes[0], &widths[0], net.activation_number, net.classes)


def train(Py_ssize_t part, net, loss, rule, const real[:, ::1] X, const real[::1] y, const real[::1] s,
          const int64_t[::1] order, const double[:, ::1] step, real[::1] params, real[:, ::1] moments, share,
          double[::1] total):
    """Go through the rows of `order` in batches, one step each; add to total the losses met and the weights.

    Part 0 leads; others, each on a thread of its own, take pieces of the batches while it does.
    """
    cdef const Py_ssize_t[::1] sizes = net.sizes, widths = net.widths
    cdef Net shape = net_of(net, sizes, widths)
    cdef Loss q = loss_of(loss.power, <pointwise><uintptr_t>loss.address, real is float)
    cdef Rule how = Rule(rule.momentum_only, rule.first, rule.second)
    cdef Py_ssize_t batch = rule.batch_size
    cdef double unit = loss.unit, pull = loss.pull
    cdef const real* weights = NULL if s is None else &s[0]
    cdef real[::1] turned = share.turned
    cdef real[:, ::1] rooms = share.rooms
    cdef real[:, ::1] grads = share.grads
    cdef double[:, ::1] totals = share.totals
    cdef int64_t[::1] counted = share.counters
    cdef Counters* counters = <Counters*>&counted[0]
    with nogil:
        if real is float:
            if part:
                helping_f32(&shape, &X[0, 0], &y[0], weights, &order[0], order.shape[0], batch, &q, unit, pull, &params[0],
                            &turned[0], params.shape[0], &rooms[part, 0], &grads[0, 0], &totals[0, 0], counters)
            else:
                steps_f32(&shape, &X[0, 0], &y[0], weights, &order[0], order.shape[0], batch, &q, unit, pull, &how,
                          &step[0, 0], &params[0], &moments[0, 0], params.shape[0], &turned[0], &rooms[part, 0],
                          &grads[0, 0], &totals[0, 0], counters, &total[0])
        else:
            if part:
                helping_f64(&shape, &X[0, 0], &y[0], weights, &order[0], order.shape[0], batch, &q, unit, pull, &params[0],
                            &turned[0], params.shape[0], &rooms[part, 0], &grads[0, 0], &totals[0, 0], counters)
            else:
                steps_f64(&shape, &X[0, 0], &y[0], weights, &order[0], order.shape[0], batch, &q, unit, pull, &how,
                          &step[0, 0], &params[0], &moments[0, 0], params.shape[0], &turned[0], &rooms[part, 0],
                          &grads[0, 0], &totals[0, 0], counters, &total[0])


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
    cdef real bias = params[params.shape[0] - 64 // sizeof(real)]
    cdef real* y = NULL if out is None else &out[0]
    cdef real* z = NULL if features is None else &features[0, 0]
    with nogil:
        if real is float:
            rows_f32(&shape, &X[0, 0], X.shape[0], &params[0], bias, &work[0], y, z)
        else:
            rows_f64(&shape, &X[0, 0], X.shape[0], &params[0], bias, &work[0], y, z)


def loss_grad(net, loss, const real[:, ::1] X, const real[::1] y, const real[::1] s, const real[::1] params, real[::1] grad,
              double[::1] total):
    """Add to grad the derivatives of the loss, to total the loss and the weights."""
    cdef const Py_ssize_t[::1] sizes = net.sizes, widths = net.widths
    cdef Net shape = net_of(net, sizes, widths)
    cdef Loss q = loss_of(loss.power, <pointwise><uintptr_t>loss.address, real is float)
    cdef real[::1] work = net.work()
    cdef const real* weights = NULL if s is None else &s[0]
    with nogil:
        if real is float:
            gradient_f32(&shape, &X[0, 0], &y[0], weights, X.shape[0], &q, &params[0], params.shape[0], &work[0], &grad[0],
                         &total[0])
        else:
            gradient_f64(&shape, &X[0, 0], &y[0], weights, X.shape[0], &q, &params[0], params.shape[0], &work[0], &grad[0],
                         &total[0])
