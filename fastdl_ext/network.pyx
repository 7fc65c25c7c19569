"""A small multilayer perceptron: its values, its gradient, its training.  Trusts its caller: C-contiguous, n > 0.

A few rows at a time go forward and back while all they need is in the first-level cache.  Sums are in the order of the
inputs or of the rows, one per lane; the output's in lanes added by a fixed tree: the same bits on any CPU.
Sizes are padded with zeros, which stay zero: columns of X to a multiple of 4, units of a layer to one of two vectors.

Parameters are one vector: for each hidden layer weights (inputs, units) and biases, then the weights and the bias of the
output, and zeros to a whole vector.
"""

from libc.math cimport sqrt, sqrtf
from libc.stdint cimport int64_t, uintptr_t
from libc.string cimport memcpy, memset

from fastdl_ext._activations cimport activate, times_slope
from fastdl_ext._common cimport cloned, real
from fastdl_ext._lanes cimport d4, d4_totals, f8, f8_totals, inlined, vec
from fastdl_ext._loss_terms cimport Loss, loss_of, pointwise, terms
from fastdl_ext._matrix_tiles cimport BIAS, ITSELF, ZERO, Start, product32, product64

cdef enum:
    ROWS = 64           # taken at a time

cdef struct Net:
    Py_ssize_t layers           # hidden ones
    const Py_ssize_t* sizes     # columns of X, units of each layer
    int activation

cdef struct Rule:
    bint momentum               # one moment alone: gradient descent, not Adam
    double first
    double second


cdef inlined product(const real* A, Py_ssize_t row, Py_ssize_t step, Py_ssize_t rows, const real* B, Py_ssize_t width,
                     Py_ssize_t depth, Start start, const real* bias, real* C) noexcept nogil:
    # C[r, :] = start + sum_k A[r, k] B[k, :] in the order of k.
    if real is float:
        product32(<const char*>A, row * sizeof(real), step * sizeof(real), rows, B, width, depth, start, bias, C)
    else:
        product64(<const char*>A, row * sizeof(real), step * sizeof(real), rows, B, width, depth, start, bias, C)


cdef inlined outputs(const vec* A, Py_ssize_t rows, Py_ssize_t width, const vec* w, vec* out) noexcept nogil:
    # <A[r], w>, as many rows at a time as a vector has lanes.
    cdef Py_ssize_t r, k, j, many = 8 if vec is f8 else 4
    cdef vec sums[8]
    cdef vec total
    r = 0
    while r < rows:
        for k in range(many):
            total = A[(r + k) * width] * w[0]
            for j in range(1, width):
                total = total + A[(r + k) * width + j] * w[j]
            sums[k] = total
        if vec is f8:
            out[r // many] = f8_totals(sums)
        else:
            out[r // many] = d4_totals(sums)
        r += many


cdef inlined column_sums(const real* A, Py_ssize_t rows, Py_ssize_t width, real* total) noexcept nogil:
    cdef Py_ssize_t r, j
    for r in range(rows):
        for j in range(width):
            total[j] += A[r * width + j]


cdef inlined forward(const Net* net, const real* params, Py_ssize_t rows, real* x, real* out) noexcept nogil:
    # x: ROWS rows of the inputs; after them, for each layer, ROWS rows of its values and as many of its slopes.
    cdef Py_ssize_t layer, inputs, units = 0
    cdef real* a = x
    cdef real* next
    for layer in range(net.layers):
        inputs = net.sizes[layer]
        units = net.sizes[layer + 1]
        next = a + ROWS * (inputs if layer == 0 else 2 * inputs)
        product(a, inputs, 1, rows, params, units, inputs, BIAS, params + inputs * units, next)
        activate(net.activation, next, next + ROWS * units, rows * units)
        params += (inputs + 1) * units
        a = next
    if real is float:
        outputs(<f8*>a, rows, units // 8, <const f8*>params, <f8*>out)
    else:
        outputs(<d4*>a, rows, units // 4, <const d4*>params, <d4*>out)


cdef inlined turn(const Net* net, const real* params, real* turned) noexcept nogil:
    # The weights of every layer but the first, transposed.
    cdef Py_ssize_t layer, inputs, units, i, j
    for layer in range(net.layers):
        inputs = net.sizes[layer]
        units = net.sizes[layer + 1]
        if layer:
            for j in range(units):
                for i in range(inputs):
                    turned[j * inputs + i] = params[i * units + j]
            turned += inputs * units
        params += (inputs + 1) * units


cdef inlined backward(const Net* net, const real* params, const real* turned, Py_ssize_t rows, real* x, const real* g,
                      real* spare, real* grad) noexcept nogil:
    # Add to grad the derivatives, of which g is the one by the output.  `spare` has room for two layers of ROWS rows.
    cdef Py_ssize_t layer, inputs, units = 0, i, j, widest = 0
    cdef real* a = x
    cdef real* below
    cdef real* delta = spare
    cdef real* other
    # Walk to the end of all three: they are read from there.
    for layer in range(net.layers):
        inputs = net.sizes[layer]
        units = net.sizes[layer + 1]
        params += (inputs + 1) * units
        grad += (inputs + 1) * units
        a += ROWS * (inputs if layer == 0 else 2 * inputs)
        if layer:
            turned += inputs * units
        widest = max(widest, units)
    other = spare + ROWS * widest
    for i in range(rows):
        for j in range(units):
            grad[j] += g[i] * a[i * units + j]
            delta[i * units + j] = g[i] * params[j]
        grad[units] += g[i]
    for layer in range(net.layers - 1, -1, -1):
        inputs = net.sizes[layer]
        units = net.sizes[layer + 1]
        times_slope(net.activation, a, a + ROWS * units, delta, rows * units)
        below = a - ROWS * (inputs if layer == 0 else 2 * inputs)
        grad -= (inputs + 1) * units
        product(below, 1, inputs, inputs, delta, units, rows, ITSELF, delta, grad)
        column_sums(delta, rows, units, grad + inputs * units)
        if layer:
            turned -= inputs * units
            product(delta, units, 1, rows, turned, inputs, units, ZERO, turned, other)
            delta, other = other, delta
        a = below


cdef inlined take(const real* X, Py_ssize_t d, const int64_t* order, Py_ssize_t n, real* x) noexcept nogil:
    # n rows of X, and rows of zeros to a multiple of 8.
    cdef Py_ssize_t i
    if order == NULL:
        memcpy(x, X, n * d * sizeof(real))
    else:
        for i in range(n):
            memcpy(x + i * d, X + order[i] * d, d * sizeof(real))
    memset(x + n * d, 0, (-n & 7) * d * sizeof(real))


cdef inlined gradient(const Net* net, const real* X, const real* y, const real* s, const int64_t* order, Py_ssize_t n,
                      const Loss* q, double unit, double scale, const real* params, const real* turned, real bias,
                      real* work, real* grad, double* total) noexcept nogil:
    # Add to grad scale times the derivatives of the loss; to total the sums of the losses and of the weights.
    cdef real out[ROWS]
    cdef real g[ROWS]
    cdef double r[ROWS]
    cdef double value[ROWS]
    cdef double slope[ROWS]
    cdef Py_ssize_t i, k, start, m, rows, d = net.sizes[0]
    cdef double weight
    cdef real* spare = work + ROWS * d
    for i in range(1, net.layers + 1):
        spare += 2 * ROWS * net.sizes[i]
    start = 0
    while start < n:
        m = min(ROWS, n - start)
        rows = (m + 7) & ~7
        take(X if order != NULL else X + start * d, d, NULL if order == NULL else order + start, m, work)
        forward(net, params, rows, work, out)
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
        backward(net, params, turned, rows, work, g, spare, grad)
        start += m


cdef inlined update(const Net* net, const Rule* rule, const double* step, const real* grad, real* params, real* first,
                    real* second, Py_ssize_t n) noexcept nogil:
    # step: how far, what keeps the quotient finite, what is left of the weights by their decay.
    cdef Py_ssize_t i, layer, weights
    cdef real rate = <real>step[0], least = <real>step[1], left = <real>step[2]
    cdef real b1 = <real>rule.first, b2 = <real>rule.second, c1 = <real>(1 - rule.first), c2 = <real>(1 - rule.second)
    cdef real* w = params
    if left != 1:
        for layer in range(net.layers + 1):
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


cdef inlined steps(const Net* net, const real* X, const real* y, const real* s, const int64_t* order, Py_ssize_t n,
                   Py_ssize_t batch, const Loss* q, double unit, double pull, const Rule* rule, const double* step,
                   real* params, real* moments, Py_ssize_t size, real* work, double* total) noexcept nogil:
    # The rows of `order` in batches, for each one step.
    cdef Py_ssize_t start, m, layer, last = size - 64 // sizeof(real)
    cdef real* grad = work
    cdef real* turned = grad + size
    work = turned
    for layer in range(1, net.layers):
        work += net.sizes[layer] * net.sizes[layer + 1]
    start = 0
    while start < n:
        m = min(batch, n - start)
        memset(grad, 0, size * sizeof(real))
        turn(net, params, turned)
        gradient(net, X, y, s, order + start, m, q, unit, pull / m, params, turned, params[last], work, grad, total)
        update(net, rule, step, grad, params, moments, moments + size, size)
        start += m
        step += 3


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
        forward(net, params, (m + 7) & ~7, work, y)
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
                      float* params, float* moments, Py_ssize_t size, float* work, double* total) noexcept nogil:
    steps(net, X, y, s, order, n, batch, q, unit, pull, rule, step, params, moments, size, work, total)


cdef cloned steps_f64(const Net* net, const double* X, const double* y, const double* s, const int64_t* order, Py_ssize_t n,
                      Py_ssize_t batch, const Loss* q, double unit, double pull, const Rule* rule, const double* step,
                      double* params, double* moments, Py_ssize_t size, double* work, double* total) noexcept nogil:
    steps(net, X, y, s, order, n, batch, q, unit, pull, rule, step, params, moments, size, work, total)


def train(const real[:, ::1] X, const real[::1] y, const real[::1] s, const int64_t[::1] order, Py_ssize_t batch,
          const Py_ssize_t[::1] sizes, int activation, double p, uintptr_t own, double unit, double pull, bint momentum,
          double first, double second, const double[:, ::1] step, real[::1] params, real[:, ::1] moments, real[::1] work,
          double[::1] total):
    """Go through the rows of `order` in batches, one step each; add to total the losses met and the weights."""
    cdef Net net = Net(sizes.shape[0] - 1, &sizes[0], activation)
    cdef Loss q = loss_of(p, <pointwise>own, real is float)
    cdef Rule rule = Rule(momentum, first, second)
    cdef const real* weights = NULL if s is None else &s[0]
    with nogil:
        if real is float:
            steps_f32(&net, &X[0, 0], &y[0], weights, &order[0], order.shape[0], batch, &q, unit, pull, &rule, &step[0, 0],
                      &params[0], &moments[0, 0], params.shape[0], &work[0], &total[0])
        else:
            steps_f64(&net, &X[0, 0], &y[0], weights, &order[0], order.shape[0], batch, &q, unit, pull, &rule, &step[0, 0],
                      &params[0], &moments[0, 0], params.shape[0], &work[0], &total[0])


cdef cloned losses(const double* r, Py_ssize_t n, const Loss* q, double* value, double* slope) noexcept nogil:
    terms(q, r, n, value, slope)


def loss_terms(const double[::1] r, double p, uintptr_t own, double[::1] value, double[::1] slope):
    """Write the losses of residuals, and their derivatives."""
    cdef Loss q = loss_of(p, <pointwise>own, False)
    with nogil:
        losses(&r[0], r.shape[0], &q, &value[0], &slope[0])


def values(const real[:, ::1] X, const Py_ssize_t[::1] sizes, int activation, const real[::1] params, real[::1] work,
           real[::1] out, real[:, ::1] features):
    """Write the output and the values of the last layer, each where it is not None."""
    cdef Net net = Net(sizes.shape[0] - 1, &sizes[0], activation)
    cdef real bias = params[params.shape[0] - 64 // sizeof(real)]
    cdef real* y = NULL if out is None else &out[0]
    cdef real* z = NULL if features is None else &features[0, 0]
    with nogil:
        if real is float:
            rows_f32(&net, &X[0, 0], X.shape[0], &params[0], bias, &work[0], y, z)
        else:
            rows_f64(&net, &X[0, 0], X.shape[0], &params[0], bias, &work[0], y, z)


def loss_grad(const real[:, ::1] X, const real[::1] y, const real[::1] s, const Py_ssize_t[::1] sizes, int activation,
              double p, uintptr_t own, const real[::1] params, real[::1] work, real[::1] grad, double[::1] total):
    """Add to grad the derivatives of the loss, to total the loss and the weights."""
    cdef Net net = Net(sizes.shape[0] - 1, &sizes[0], activation)
    cdef Loss q = loss_of(p, <pointwise>own, real is float)
    cdef const real* weights = NULL if s is None else &s[0]
    with nogil:
        if real is float:
            gradient_f32(&net, &X[0, 0], &y[0], weights, X.shape[0], &q, &params[0], params.shape[0], &work[0], &grad[0],
                         &total[0])
        else:
            gradient_f64(&net, &X[0, 0], &y[0], weights, X.shape[0], &q, &params[0], params.shape[0], &work[0], &grad[0],
                         &total[0])
