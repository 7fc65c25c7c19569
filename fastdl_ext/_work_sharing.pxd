"""Threads that share the pieces of one loop after another, by atomic counters (dynamic self-scheduling).

Pieces are numbered through all loops; `opened` says how many may be taken, `taken` how many were, `finished` how many are
done.  A thread that comes late, or never, is not waited for: the pieces are taken by whoever is there.  A piece costs two
atomic operations on cache lines that the threads share.  They are those of GNU C, which clang-cl has too.
"""

from libc.stdint cimport int64_t

cdef extern from *:
    """
    #include <stdint.h>
    #if defined(_WIN32)
      __declspec(dllimport) int __stdcall SwitchToThread(void);
      #define FASTDL_YIELD() SwitchToThread()
    #else
      #include <sched.h>
      #define FASTDL_YIELD() sched_yield()
    #endif
    #if defined(__x86_64__) || defined(_M_X64)
      #define FASTDL_PAUSE() __builtin_ia32_pause()
    #else
      #define FASTDL_PAUSE() ((void)0)
    #endif

    enum { FASTDL_SPINS = 4000 };           /* 80 us: longer than a piece takes, shorter than a time slice */

    typedef struct {
        int64_t opened, pad1[7], taken, pad2[7], finished, pad3[7], ended, pad4[7];         /* a cache line each */
    } fastdl_counters;

    static inline int64_t fastdl_take(fastdl_counters* c) {
        /* The number of a piece that is now the caller's, or -1 where none is open. */
        int64_t next = __atomic_load_n(&c->taken, __ATOMIC_ACQUIRE);
        while (next < __atomic_load_n(&c->opened, __ATOMIC_ACQUIRE))
            if (__atomic_compare_exchange_n(&c->taken, &next, next + 1, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
                return next;
        return -1;
    }
    static inline void fastdl_open(fastdl_counters* c, int64_t pieces) {
        __atomic_store_n(&c->opened, c->opened + pieces, __ATOMIC_RELEASE);
    }
    static inline void fastdl_finish(fastdl_counters* c) { __atomic_fetch_add(&c->finished, 1, __ATOMIC_ACQ_REL); }
    static inline void fastdl_end(fastdl_counters* c) { __atomic_store_n(&c->ended, 1, __ATOMIC_RELEASE); }
    static inline int fastdl_ended(fastdl_counters* c) { return (int)__atomic_load_n(&c->ended, __ATOMIC_ACQUIRE); }
    static inline int fastdl_all_finished(fastdl_counters* c) {
        return __atomic_load_n(&c->finished, __ATOMIC_ACQUIRE) == c->opened;
    }
    static inline void fastdl_wait(int* spins) {
        if (++*spins < FASTDL_SPINS)
            FASTDL_PAUSE();
        else
            FASTDL_YIELD();
    }
    """
    ctypedef struct Counters "fastdl_counters":
        pass
    int64_t take_piece "fastdl_take"(Counters* c) nogil        # its number, which is now the caller's, or -1
    void open_pieces "fastdl_open"(Counters* c, int64_t pieces) nogil
    void finish_piece "fastdl_finish"(Counters* c) nogil
    void end_all "fastdl_end"(Counters* c) nogil
    bint ended "fastdl_ended"(Counters* c) nogil
    bint all_finished "fastdl_all_finished"(Counters* c) nogil
    void wait_a_little "fastdl_wait"(int* spins) nogil
