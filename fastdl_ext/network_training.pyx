"""The training of a multilayer perceptron in mini-batches.  Trusts its caller: C-contiguous, n > 0.

Adam (Kingma and Ba, 2015) or gradient descent with momentum, on gradients by backpropagation (_network_gradient.pxd). Bound by
their arithmetic: 3 multiply-adds a row and weight, 2 in the first layer, which needs no derivative by its input.

A batch is cut into pieces of 128 rows whose gradients are added by a fixed tree, so that threads may share the pieces
(_work_sharing.pxd) and any number of them gives the same bits.
"""

from libc.math cimport sqrt, sqrtf
from libc.stdint cimport int64_t
from libc.string cimport memset

from fastdl_ext._common cimport cloned, real
from fastdl_ext._lanes cimport inlined
from fastdl_ext._network_gradient cimport Objective, Parameters, Rows, gradient, net_of, objective_of, part_of, table_of
from fastdl_ext._network_layers cimport Net, turn
from fastdl_ext._work_sharing cimport (
    Counters, all_finished, end_all, ended, finish_piece, open_pieces, take_piece, wait_a_little,
)

cdef enum:
    PIECE = 128         # rows whose gradient is summed by one thread: adding it to the others' costs 3 % at 64 columns
    PATIENCE = 1 << 20  # waits, of a system call each but the first, in a row: a second or so

cdef struct Rule:
    Py_ssize_t batch_size
    bint momentum               # one moment alone: gradient descent, not Adam
    double first
    double second

cdef struct Shared:             # by the threads of one training
    void* grads                 # (pieces of a batch, parameters)
    double* totals              # (pieces, 2): the losses and the weights of each
    Counters* counters


cdef inlined update(const Net* net, const Rule* rule, const double* step, const real* grad, real* params, real* first,
                    real* second, Py_ssize_t n) noexcept nogil:
    # step: the learning rate, Adam's epsilon, and the factor of the weights' decay.
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


cdef inlined pieces(const Net* net, const Rows* rows, const Objective* objective, const Rule* rule, const Parameters* now,
                    const Shared* shared, real* work, int* spins) noexcept nogil:
    # Take pieces of the open batch as long as there are any: the gradient of each by itself.
    cdef Py_ssize_t each = (rule.batch_size + PIECE - 1) // PIECE, step, k, start, m, first
    cdef int64_t taken = take_piece(shared.counters)
    cdef real* grad
    cdef Rows part
    while taken >= 0:
        step = taken // each
        k = taken - step * each
        start = step * rule.batch_size
        m = min(rule.batch_size, rows.n - start)
        first = k * PIECE
        grad = <real*>shared.grads + k * now.size
        memset(grad, 0, now.size * sizeof(real))
        part = part_of(rows, start + first, min(PIECE, m - first))
        gradient(net, &part, objective, objective.pull / m, now, work, grad, shared.totals + 2 * k)
        finish_piece(shared.counters)
        spins[0] = 0
        taken = take_piece(shared.counters)


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


cdef struct Course:             # of the thread that leads
    const double* step          # (batches, 3): what `update` takes for each
    void* params
    void* moments               # (2, parameters)
    void* turned
    double* total               # the losses met, and the weights


cdef inlined steps(const Net* net, const Rows* rows, const Objective* objective, const Rule* rule, const Course* course,
                   const Parameters* now, const Shared* shared, real* work) noexcept nogil:
    # The rows in batches, for each one step, by the thread that leads.
    cdef Py_ssize_t start, m, count, size = now.size
    cdef const double* step = course.step
    cdef real* params = <real*>course.params
    cdef real* moments = <real*>course.moments
    cdef int spins = 0
    start = 0
    while start < rows.n:
        m = min(rule.batch_size, rows.n - start)
        count = (m + PIECE - 1) // PIECE
        turn(net, params, <real*>course.turned)
        open_pieces(shared.counters, count)
        pieces(net, rows, objective, rule, now, shared, work, &spins)
        spins = 0
        while not all_finished(shared.counters):
            wait_a_little(&spins)
        add_pieces(<real*>shared.grads, shared.totals, count, size, course.total)
        update(net, rule, step, <real*>shared.grads, params, moments, moments + size, size)
        start += m
        step += 3
    end_all(shared.counters)


cdef inlined helping(const Net* net, const Rows* rows, const Objective* objective, const Rule* rule, const Parameters* now,
                     const Shared* shared, real* work) noexcept nogil:
    # What the other threads do until all steps are done, or there was nothing to do for long: nobody waits for them.
    cdef int spins = 0
    while not ended(shared.counters) and spins < PATIENCE:
        pieces(net, rows, objective, rule, now, shared, work, &spins)
        wait_a_little(&spins)


cdef cloned steps_f32(const Net* net, const Rows* rows, const Objective* objective, const Rule* rule, const Course* course,
                      const Parameters* now, const Shared* shared, float* work) noexcept nogil:
    steps(net, rows, objective, rule, course, now, shared, work)


cdef cloned steps_f64(const Net* net, const Rows* rows, const Objective* objective, const Rule* rule, const Course* course,
                      const Parameters* now, const Shared* shared, double* work) noexcept nogil:
    steps(net, rows, objective, rule, course, now, shared, work)


cdef cloned helping_f32(const Net* net, const Rows* rows, const Objective* objective, const Rule* rule, const Parameters* now,
                        const Shared* shared, float* work) noexcept nogil:
    helping(net, rows, objective, rule, now, shared, work)


cdef cloned helping_f64(const Net* net, const Rows* rows, const Objective* objective, const Rule* rule, const Parameters* now,
                        const Shared* shared, double* work) noexcept nogil:
    helping(net, rows, objective, rule, now, shared, work)


def train(Py_ssize_t part, task, rows, const int64_t[::1] order, const double[:, ::1] step, real[::1] params,
          real[:, ::1] moments, double[::1] total):
    """Make a step for each batch of `order`; add the batches' losses and weights to total.

    task: the records (net, loss, rule, share); rows: X, y and weights or None. The thread of part 0 makes the steps; those
    of other parts compute pieces of its batches until it ends.
    """
    net, loss, rule, share = task
    cdef const Py_ssize_t[::1] sizes = net.sizes, widths = net.widths
    cdef Net shape = net_of(net, sizes, widths)
    cdef Objective objective = objective_of(loss, real is float)
    cdef Rule how = Rule(rule.batch_size, rule.momentum_only, rule.first, rule.second)
    cdef const real[:, ::1] X = rows[0]
    cdef const real[::1] y = rows[1], s = rows[2]
    cdef Rows table = table_of[real](X, y, s)
    cdef real[::1] turned = share.turned
    cdef real[:, ::1] rooms = share.rooms
    cdef real[:, ::1] grads = share.grads
    cdef double[:, ::1] totals = share.totals
    cdef int64_t[::1] counters = share.counters
    cdef Shared shared = Shared(&grads[0, 0], &totals[0, 0], <Counters*>&counters[0])
    cdef Parameters now = Parameters(&params[0], &turned[0], params.shape[0])
    cdef Course course = Course(&step[0, 0], &params[0], &moments[0, 0], &turned[0], &total[0])
    table.order, table.n = &order[0], order.shape[0]
    with nogil:
        if real is float:
            if part:
                helping_f32(&shape, &table, &objective, &how, &now, &shared, &rooms[part, 0])
            else:
                steps_f32(&shape, &table, &objective, &how, &course, &now, &shared, &rooms[part, 0])
        else:
            if part:
                helping_f64(&shape, &table, &objective, &how, &now, &shared, &rooms[part, 0])
            else:
                steps_f64(&shape, &table, &objective, &how, &course, &now, &shared, &rooms[part, 0])
