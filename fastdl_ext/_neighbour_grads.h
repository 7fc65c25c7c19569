/* What the backward pass of a reduction over neighbours needs beside the reduction itself: dot products along the edges (SDDMM,
sampled dense-dense multiplication), which neighbour was the largest or smallest, and the softmax over the edges of a node.
Included once for each REAL, after _neighbours.h.

Bound by memory: every edge fetches a row of F values that lies anywhere, as in the forward pass; sums are in eight fixed lanes,
so that they have the same bits on every CPU.
*/

/* left . right over F values. */
static FASTDL_INLINE REAL NAME(dot)(const REAL* left, const REAL* right, int64_t F) {
  REAL lane[8] = {0};
  int64_t c = 0;
  for (; c + 8 <= F; c += 8)
    UNROLL for (int k = 0; k < 8; k++) lane[k] += left[c + k] * right[c + k];
  for (int k = 0; c < F; c++, k++) lane[k] += left[c] * right[c];
  return ((lane[0] + lane[4]) + (lane[2] + lane[6])) + ((lane[1] + lane[5]) + (lane[3] + lane[7]));
}

/* out[j, h] = left[i - first, h] . right[indices[j], h] for the edges j of the rows first..last: heads of F columns. */
static FASTDL_CLONES void NAME(edge_dots)(const int64_t* indptr, const int32_t* indices, int64_t first, int64_t last,
                                         const REAL* left, const REAL* right, int64_t heads, int64_t F, REAL* out) {
  for (int64_t i = first; i < last; i++)
    for (int64_t j = indptr[i]; j < indptr[i + 1]; j++)
      for (int64_t h = 0; h < heads; h++)
        out[j * heads + h] = NAME(dot)(left + ((i - first) * heads + h) * F, right + (indices[j] * heads + h) * F, F);
}

/* Which neighbour a maximum or minimum came from (argmax): where[i - first, c] = the place in row i of the first neighbour whose
   weighted value is best[i - first, c], or is NaN where that is NaN; -1 for a row without neighbours. */
static FASTDL_CLONES void NAME(first_equal)(const int64_t* indptr, const int32_t* indices, int64_t first, int64_t last,
                                            const REAL* X, int64_t heads, int64_t F, const REAL* weight, int64_t step,
                                            const REAL* best, int32_t* where) {
  const int64_t width = heads * F;
  for (int64_t i = first; i < last; i++) {
    int32_t* place = where + (i - first) * width;
    const REAL* wanted = best + (i - first) * width;
    for (int64_t c = 0; c < width; c++) place[c] = -1;
    for (int64_t j = indptr[i + 1] - 1; j >= indptr[i]; j--) {         /* backwards: the first is what stays */
      const int32_t at = (int32_t)(j - indptr[i]);
      for (int64_t h = 0; h < heads; h++) {
        const REAL w = weight[step ? j * step + h : 0];
        const REAL* x = X + indices[j] * width + h * F;
        for (int64_t c = 0; c < F; c++) {
          const REAL v = x[c] * w;
          place[h * F + c] = (v == wanted[h * F + c]) | (v != v) ? at : place[h * F + c];
        }
      }
    }
  }
}

/* The gradient of a maximum or minimum by the features, rows first..last of out, one a source: the sum of w g[target, c] over the
   edges that `where` says the extremes came from.
   indptr and targets are of the transposed graph; order[e] is the edge's number in the graph, place[e] the place in its row. */
static FASTDL_CLONES void NAME(taken_sums)(const int64_t* indptr, const int32_t* targets, const int64_t* order, const int32_t* place,
                                           int64_t first, int64_t last, const REAL* g, const int32_t* where, int64_t heads,
                                           int64_t F, const REAL* weight, int64_t step, REAL* out) {
  const int64_t width = heads * F;
  for (int64_t i = first; i < last; i++) {
    REAL* total = out + (i - first) * width;
    for (int64_t c = 0; c < width; c++) total[c] = 0;
    for (int64_t e = indptr[i]; e < indptr[i + 1]; e++) {
      const int32_t at = place[e];
      for (int64_t h = 0; h < heads; h++) {
        const REAL w = weight[step ? order[e] * step + h : 0];
        const REAL* from = g + targets[e] * width + h * F;
        const int32_t* took = where + targets[e] * width + h * F;
        for (int64_t c = 0; c < F; c++) total[h * F + c] += took[c] == at ? w * from[c] : 0;
      }
    }
  }
}

/* out[j, h] = exp(score[j, h] - largest) / sum over the edges of the row, summed in double. */
static FASTDL_CLONES void NAME(edge_softmax)(const int64_t* indptr, int64_t rows, const REAL* score, int64_t heads, REAL* out) {
  for (int64_t i = 0; i < rows; i++) {
    const int64_t start = indptr[i], end = indptr[i + 1];
    for (int64_t h = 0; h < heads; h += HEADS_AT_ONCE) {
      const int64_t some = heads - h < HEADS_AT_ONCE ? heads - h : HEADS_AT_ONCE;
      REAL top[HEADS_AT_ONCE];
      double sum[HEADS_AT_ONCE] = {0};
      for (int64_t k = 0; k < some; k++) top[k] = -(REAL)INFINITY;
      for (int64_t j = start; j < end; j++)
        for (int64_t k = 0; k < some; k++) {
          const REAL v = score[j * heads + h + k];
          top[k] = (v > top[k]) | (v != v) ? v : top[k];
        }
      for (int64_t j = start; j < end; j++)
        for (int64_t k = 0; k < some; k++) {
          const REAL e = NAME(tile1_exp)(score[j * heads + h + k] - top[k]);
          out[j * heads + h + k] = e;
          sum[k] += (double)e;
        }
      for (int64_t j = start; j < end; j++)
        for (int64_t k = 0; k < some; k++) out[j * heads + h + k] = (REAL)(out[j * heads + h + k] / sum[k]);
    }
  }
}
