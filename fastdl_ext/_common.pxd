"""Common definitions of the kernels: CPU levels and fused types.

`cloned` is the type of a function that GCC compiles once for each level and chooses at load time (docs/decisions/0002); a build for
one level (FASTDL_CPU), another compiler or platform has it once.
"""

cdef extern from *:
    """
    #if defined(FASTDL_LEVEL)
      #define FASTDL_CLONES __attribute__((target(FASTDL_LEVEL)))
    #elif defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 12 && defined(__x86_64__) && defined(__GLIBC__)
      #define FASTDL_CLONES __attribute__((target_clones("default", "arch=x86-64-v3", "arch=x86-64-v4")))
      #define FASTDL_HAS_CLONES 1
    #else
      #define FASTDL_CLONES
    #endif
    #ifndef FASTDL_HAS_CLONES
      #define FASTDL_HAS_CLONES 0
    #endif
    #if defined(__GNUC__)
      #define FASTDL_INLINE inline __attribute__((always_inline))
    #else
      #define FASTDL_INLINE inline
    #endif
    """
    ctypedef void cloned "FASTDL_CLONES void"    # a kernel of this type is compiled once per CPU level
    const bint HAS_CLONES "FASTDL_HAS_CLONES"

ctypedef fused real:
    float
    double
