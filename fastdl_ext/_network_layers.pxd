"""The layers of a network, forward and back, for up to 64 rows: backpropagation by products of small matrices.

Backpropagation: Rumelhart, Hinton and Williams, "Learning representations by back-propagating errors", Nature 323, 1986. Bound by
the products' arithmetic (_matrix_tiles.pxd).

Every sum over inputs or over rows is in one lane and in their order; those of the one output are in lanes that a fixed tree adds.
Sizes are padded with zeros: columns of X to a multiple of 4, units of a layer to a multiple of two vectors, rows to a
multiple of 8. The values and slopes that come of the padding are set to zero again after each layer: where a weight or a value
is infinite, infinity times zero is NaN, which would be in every sum of the next layer.
"""

from libc.string cimport memset

from fastdl_ext._activations cimport activate, times_slope
from fastdl_ext._common cimport real
from fastdl_ext._lanes cimport d4, d4_totals, f8, f8_totals, inlined, vec
from fastdl_ext._matrix_tiles cimport BIAS, ITSELF, ZERO, Start, product32, product64

cdef enum:
    ROWS = 64                   # taken at a time: with the values and slopes of their layers in the first-level cache

cdef struct Net:
    Py_ssize_t layers           # computed by products: the hidden ones, and that of the logits
    const Py_ssize_t* sizes     # columns of X, units of each layer, padded
    const Py_ssize_t* widths    # and without the padding
    int activation              # of the hidden ones
    Py_ssize_t classes          # 0: one output


cdef struct Sizes:              # of a product of matrices, C (rows, width) = A (rows, depth) B (depth, width)
    Py_ssize_t rows
    Py_ssize_t width
    Py_ssize_t depth
    Py_ssize_t row              # numbers from a row of A to the next
    Py_ssize_t step             # and from a column to the next: A may be a transpose


cdef inline inlined product(Sizes n, const real* A, const real* B, Start start, const real* bias, real* C) noexcept nogil:
    # C[r, :] = start + sum_k A[r, k] B[k, :] in the order of k.
    if real is float:
        product32(<const char*>A, n.row * sizeof(real), n.step * sizeof(real), n.rows, B, n.width, n.depth, start, bias, C)
    else:
        product64(<const char*>A, n.row * sizeof(real), n.step * sizeof(real), n.rows, B, n.width, n.depth, start, bias, C)


cdef inline inlined outputs(const vec* A, Py_ssize_t rows, Py_ssize_t width, const vec* w, vec* out) noexcept nogil:
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


cdef inline inlined column_sums(const real* A, Py_ssize_t rows, Py_ssize_t width, real* total) noexcept nogil:
    cdef Py_ssize_t r, j
    for r in range(rows):
        for j in range(width):
            total[j] += A[r * width + j]


cdef inline int activation_of(const Net* net, Py_ssize_t layer) noexcept nogil:
    return 0 if net.classes and layer == net.layers - 1 else net.activation


cdef inline inlined clear_padding(real* a, Py_ssize_t n, Py_ssize_t width, Py_ssize_t units) noexcept nogil:
    # Zeros beside and below n rows of `width` numbers: to `units` of them, and to a multiple of 8 rows.
    cdef Py_ssize_t i
    if width < units:
        for i in range(n):
            if a[i * units + width] != 0:       # then all are: padded units have the same weights, zeros
                memset(a + i * units + width, 0, (units - width) * sizeof(real))
    memset(a + n * units, 0, (-n & 7) * units * sizeof(real))


cdef inline inlined forward(const Net* net, const real* params, Py_ssize_t n, real* x, real* out) noexcept nogil:
    # x: ROWS rows of the inputs, of which n are read, and zeros; after them, for each layer, ROWS rows of its values and as
    # many of its slopes.
    cdef Py_ssize_t layer, inputs, units = 0, rows = (n + 7) & ~7
    cdef real* a = x
    cdef real* next
    for layer in range(net.layers):
        inputs = net.sizes[layer]
        units = net.sizes[layer + 1]
        next = a + ROWS * (inputs if layer == 0 else 2 * inputs)
        product(Sizes(rows, units, inputs, inputs, 1), a, params, BIAS, params + inputs * units, next)
        activate(activation_of(net, layer), next, next + ROWS * units, rows * units)
        clear_padding(next, n, net.widths[layer + 1], units)
        params += (inputs + 1) * units
        a = next
    if net.classes:
        return
    if real is float:
        outputs(<f8*>a, rows, units // 8, <const f8*>params, <f8*>out)
    else:
        outputs(<d4*>a, rows, units // 4, <const d4*>params, <d4*>out)


cdef inline inlined turn(const Net* net, const real* params, real* turned) noexcept nogil:
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


cdef inline inlined backward(const Net* net, const real* params, const real* turned, Py_ssize_t n, real* x, const real* g,
                             real* spare, real* grad) noexcept nogil:
    # Add to grad the derivatives, of which g is the one by the output; those by the logits are in `spare`, which has room for
    # two layers of ROWS rows.
    cdef Py_ssize_t layer, inputs, units = 0, i, j, widest = 0, rows = (n + 7) & ~7
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
    if not net.classes:
        for i in range(rows):
            for j in range(units):
                grad[j] += g[i] * a[i * units + j]
                delta[i * units + j] = g[i] * params[j]
            grad[units] += g[i]
    for layer in range(net.layers - 1, -1, -1):
        inputs = net.sizes[layer]
        units = net.sizes[layer + 1]
        times_slope(activation_of(net, layer), a, a + ROWS * units, delta, rows * units)
        clear_padding(delta, n, net.widths[layer + 1], units)
        below = a - ROWS * (inputs if layer == 0 else 2 * inputs)
        grad -= (inputs + 1) * units
        product(Sizes(inputs, units, rows, 1, inputs), below, delta, ITSELF, delta, grad)
        column_sums(delta, rows, units, grad + inputs * units)
        if layer:
            turned -= inputs * units
            product(Sizes(rows, inputs, units, units, 1), delta, turned, ZERO, turned, other)
            delta, other = other, delta
        a = below
