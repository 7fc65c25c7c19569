"""Many small files written and named by system calls that follow each other without Python's lock.

Bound: the system calls themselves (on ext4 some 20 us to create, write and close a file and 10 to rename it). Called from
Python one by one they take the lock each time, so that a second thread cannot work meanwhile; here it can.

What fails here is left undone: the caller then does it in Python, whose errors say what was wrong. On Windows everything
is left to the caller.
"""

from libc.stdint cimport int64_t, uint8_t
from libc.stdlib cimport free, malloc
from libc.string cimport strlen

cdef extern from * nogil:
    """
    #include <stdint.h>
    #include <string.h>

    #if defined(_WIN32)

    static int fastdl_write_file(const char* path, const unsigned char* data, int64_t size) {
        (void)path; (void)data; (void)size;
        return 0;
    }
    static void fastdl_name_files(const char** temporaries, const char** targets, int64_t count, int64_t* found) {
        (void)temporaries; (void)targets; (void)count; (void)found;
    }

    #else

    #include <errno.h>
    #include <fcntl.h>
    #include <sys/stat.h>
    #include <unistd.h>

    #ifndef O_CLOEXEC
    #define O_CLOEXEC 0
    #endif

    /* A new file with these bytes: 1, or 0 where there is none. Its mode is what the process's umask leaves. */
    static int fastdl_write_file(const char* path, const unsigned char* data, int64_t size) {
        int handle = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (handle < 0)
            return 0;
        while (size > 0) {
            ssize_t done = write(handle, data, (size_t)size);
            if (done < 0 && errno == EINTR)
                continue;
            if (done <= 0)
                break;
            data += done;
            size -= done;
        }
        if (close(handle) != 0 || size > 0) {
            unlink(path);
            return 0;
        }
        return 1;
    }

    /* Files that belong together get their names: those behind the first are removed before it is renamed, and come after
       it. found: for each file whether it has its name, its size, and its time in seconds and nanoseconds. Nothing is done
       where a target is there and is no regular file. */
    static void fastdl_name_files(const char** temporaries, const char** targets, int64_t count, int64_t* found) {
        struct stat entry;
        int64_t k, there = 0;
        for (k = 0; k < count; k++) {
            if (lstat(targets[k], &entry) == 0) {
                there = 1;
                if (!S_ISREG(entry.st_mode))
                    return;
            } else if (errno != ENOENT)
                return;
        }
        for (k = there ? count - 1 : -1; k >= 0; k--) {
            if (lstat(targets[k], &entry) != 0)
                continue;
            if (chmod(temporaries[k], entry.st_mode & 07777) != 0)
                return;
            if (k > 0 && unlink(targets[k]) != 0 && errno != ENOENT)
                return;
        }
        for (k = 0; k < count; k++) {
            if (rename(temporaries[k], targets[k]) != 0)
                return;
            found[4 * k] = 1;
            if (stat(targets[k], &entry) == 0) {
                found[4 * k + 1] = (int64_t)entry.st_size;
    #if defined(__APPLE__)
                found[4 * k + 2] = (int64_t)entry.st_mtimespec.tv_sec;
                found[4 * k + 3] = (int64_t)entry.st_mtimespec.tv_nsec;
    #else
                found[4 * k + 2] = (int64_t)entry.st_mtim.tv_sec;
                found[4 * k + 3] = (int64_t)entry.st_mtim.tv_nsec;
    #endif
            }
        }
    }

    #endif
    """
    int fastdl_write_file(const char* path, const unsigned char* data, int64_t size)
    void fastdl_name_files(const char** temporaries, const char** targets, int64_t count, int64_t* found)


cdef const char** pointers(const uint8_t* names, Py_ssize_t n) noexcept nogil:
    # The beginnings of n texts, each of which ends with a zero.
    cdef const char** found = <const char**>malloc(max(n, 1) * sizeof(char*))
    cdef const char* at = <const char*>names
    cdef Py_ssize_t k
    if found != NULL:
        for k in range(n):
            found[k] = at
            at += strlen(at) + 1
    return found


def write_files(const uint8_t[::1] names, const uint8_t[::1] data, const int64_t[::1] ends, int64_t[::1] done):
    """Create `names` (texts that end with a zero) with the bytes of `data` up to each of `ends`; `done`: which are there."""
    cdef Py_ssize_t k, n = ends.shape[0]
    cdef int64_t start = 0
    cdef const char** paths
    if n == 0:
        return
    with nogil:
        paths = pointers(&names[0], n)
        if paths != NULL:
            for k in range(n):
                done[k] = fastdl_write_file(paths[k], &data[0] + start, ends[k] - start)
                start = ends[k]
            free(paths)


def name_files(const uint8_t[::1] temporaries, const uint8_t[::1] targets, const int64_t[::1] ends, int64_t[:, ::1] found):
    """Rename files, in sets up to each of `ends`; found: (whether it was, size, seconds, nanoseconds) of each file."""
    cdef Py_ssize_t k, n = found.shape[0]
    cdef int64_t start = 0
    cdef const char** old
    cdef const char** new
    if n == 0:
        return
    with nogil:
        old, new = pointers(&temporaries[0], n), pointers(&targets[0], n)
        if old != NULL and new != NULL:
            for k in range(ends.shape[0]):
                fastdl_name_files(old + start, new + start, ends[k] - start, &found[start, 0])
                start = ends[k]
        free(old)
        free(new)
