// Preloaded, makes one call to the file system fail: the FAIL_AT-th of those that touch anything under the folder FAIL_UNDER, with the
// error FAIL_ERRNO (5, input/output error). With FAIL_AT 0 none fails; their number then stands in the file FAIL_COUNT. With FULL_AFTER every
// write behind so many bytes fails.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static atomic_long calls, written;
static long fail_at, full_after = -1;
static int error_number = EIO;
static const char *under, *count_file;
static pid_t owner;

__attribute__((constructor)) static void begin(void)
{
    under = getenv("FAIL_UNDER");
    count_file = getenv("FAIL_COUNT");
    fail_at = getenv("FAIL_AT") ? atol(getenv("FAIL_AT")) : 0;
    if (getenv("FAIL_ERRNO"))
        error_number = atoi(getenv("FAIL_ERRNO"));
    if (getenv("FULL_AFTER"))
        full_after = atol(getenv("FULL_AFTER"));
    owner = getpid();
}

__attribute__((destructor)) static void end(void)
{
    FILE *file = count_file && getpid() == owner ? fopen(count_file, "w") : NULL;
    if (file)
    {
        fprintf(file, "%ld\n", (long)calls);
        fclose(file);
    }
}

static int fails_path(const char *path)
{
    if (!under || !path || strncmp(path, under, strlen(under)) != 0 || getpid() != owner)
        return 0;
    return atomic_fetch_add(&calls, 1) + 1 == fail_at;
}

static int fails(int fd)
{
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0)
        return 0;
    path[length] = '\0';
    return fails_path(path);
}

static int fails_write(int fd, size_t count)
{
    if (full_after < 0)
        return fails(fd);
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0 || !under || strncmp(path, under, strlen(under)) != 0 || getpid() != owner)
        return 0;
    return atomic_fetch_add(&written, (long)count) + (long)count > full_after;
}

static size_t total(const struct iovec *parts, int count)
{
    size_t bytes = 0;
    for (int i = 0; i < count; i++)
        bytes += parts[i].iov_len;
    return bytes;
}

#define REAL(name) ((typeof(&name))dlsym(RTLD_NEXT, #name))
#define FAIL return errno = error_number, -1

#define OPEN(name)                                                        \
    int name(const char *path, int flags, ...)                            \
    {                                                                     \
        va_list arguments;                                                \
        va_start(arguments, flags);                                       \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(arguments, mode_t) : 0; \
        va_end(arguments);                                                \
        if (fails_path(path))                                             \
            FAIL;                                                         \
        return REAL(name)(path, flags, mode);                             \
    }
OPEN(open)
OPEN(open64)

#define ON_WRITE(type, name, parameters, arguments, bytes) \
    type name parameters                                   \
    {                                                      \
        if (fails_write(fd, bytes))                        \
            FAIL;                                          \
        return REAL(name) arguments;                       \
    }
ON_WRITE(ssize_t, write, (int fd, const void *data, size_t count), (fd, data, count), count)
ON_WRITE(ssize_t, pwrite, (int fd, const void *data, size_t count, off_t at), (fd, data, count, at), count)
ON_WRITE(ssize_t, pwrite64, (int fd, const void *data, size_t count, off64_t at), (fd, data, count, at), count)
ON_WRITE(ssize_t, pwritev, (int fd, const struct iovec *parts, int count, off_t at), (fd, parts, count, at), total(parts, count))
ON_WRITE(ssize_t, pwritev64, (int fd, const struct iovec *parts, int count, off64_t at), (fd, parts, count, at), total(parts, count))

#define ON_FILE(type, name, parameters, arguments) \
    type name parameters                           \
    {                                              \
        if (fails(fd))                             \
            FAIL;                                  \
        return REAL(name) arguments;               \
    }
ON_FILE(ssize_t, read, (int fd, void *bytes, size_t count), (fd, bytes, count))
ON_FILE(ssize_t, pread, (int fd, void *bytes, size_t count, off_t at), (fd, bytes, count, at))
ON_FILE(ssize_t, pread64, (int fd, void *bytes, size_t count, off64_t at), (fd, bytes, count, at))
ON_FILE(int, fsync, (int fd), (fd))
ON_FILE(int, ftruncate, (int fd, off_t length), (fd, length))
ON_FILE(int, ftruncate64, (int fd, off64_t length), (fd, length))

#define ON_PATH(name, parameters, arguments) \
    int name parameters                      \
    {                                        \
        if (fails_path(path))                \
            FAIL;                            \
        return REAL(name) arguments;         \
    }
ON_PATH(rename, (const char *path, const char *to), (path, to))
ON_PATH(unlink, (const char *path), (path))
ON_PATH(mkdir, (const char *path, mode_t mode), (path, mode))
ON_PATH(rmdir, (const char *path), (path))
