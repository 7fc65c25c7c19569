"""Which of the compiled CPU levels this machine runs, and what compiled them."""

from fastdl_ext._common cimport HAS_CLONES  # no-cython-lint: used by name below

cdef extern from *:
    """
    #if FASTDL_HAS_CLONES
    static const char* fastdl_level(void) {
        __builtin_cpu_init();
        return __builtin_cpu_supports("x86-64-v4") ? "x86-64-v4" :
               __builtin_cpu_supports("x86-64-v3") ? "x86-64-v3" : "default";
    }
    #elif defined(FASTDL_LEVEL)
    static const char* fastdl_level(void) { return FASTDL_LEVEL " (this build has one level)"; }
    #else
    static const char* fastdl_level(void) { return "default (this platform has one level)"; }
    #endif
    #if defined(__clang__)
    static const char* fastdl_compiler(void) { return "clang " __clang_version__; }
    #elif defined(__GNUC__)
    static const char* fastdl_compiler(void) { return "gcc " __VERSION__; }
    #else
    static const char* fastdl_compiler(void) { return "another compiler"; }
    #endif
    """
    const char* fastdl_level() nogil
    const char* fastdl_compiler() nogil


def level():
    return fastdl_level().decode()


def compiler():
    return fastdl_compiler().decode()
