/* The child process that reads a file, and the pipe from it. */
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHILD_MEMORY_BYTES (2LL << 30)

/* Frames: kind, u32 bytes in the machine's order, and the bytes. */
enum { FRAME_BYTES = 'B', FRAME_FAILED = 'X', FRAME_END = 'E' };
#define FRAME_HEADER 5

struct cth_stream {
    int fd;
    pid_t pid;
    int seconds;
    uint32_t left; /* of the frame at hand */
    int ended;
};

static int s_out = -1;
static char s_reason[CTH_MESSAGE_BYTES];

void cth_say(char *message, int message_bytes, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    if (message_bytes > 0)
        vsnprintf(message, (size_t)message_bytes, format, arguments);
    va_end(arguments);
}

int cth_abi(void)
{
    return CTH_ABI;
}

void cth_version(char *text, int text_bytes)
{
    unsigned major = 0, minor = 0, release = 0;
    cth_quiet();
    H5get_libversion(&major, &minor, &release);
    snprintf(text, (size_t)text_bytes, "HDF5 %u.%u.%u", major, minor, release);
}

void cth_quiet(void)
{
    H5dont_atexit();
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    H5PLset_loading_state(0);
}

static void write_all(const void *bytes, size_t count)
{
    const char *next = bytes;
    while (count > 0) {
        ssize_t written = write(s_out, next, count);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            _exit(1);
        next += written;
        count -= (size_t)written;
    }
}

static void send_frame(char kind, const void *bytes, size_t count)
{
    char header[FRAME_HEADER] = {kind};
    uint32_t length = (uint32_t)count;
    memcpy(header + 1, &length, sizeof length);
    write_all(header, sizeof header);
    write_all(bytes, count);
}

void cth_send(const void *bytes, size_t count)
{
    const size_t largest = 1 << 24;
    const char *next = bytes;
    while (count > 0) {
        size_t part = count < largest ? count : largest;
        send_frame(FRAME_BYTES, next, part);
        next += part;
        count -= part;
    }
}

void cth_fail(const char *format, ...)
{
    char text[CTH_MESSAGE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    send_frame(FRAME_FAILED, text, strlen(text));
    _exit(1);
}

static herr_t note(unsigned n, const H5E_error2_t *error, void *context)
{
    (void)n;
    (void)context;
    if (!s_reason[0] && error->desc)
        snprintf(s_reason, sizeof s_reason, "%s", error->desc);
    return 0;
}

const char *cth_reason(void)
{
    s_reason[0] = 0;
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, note, NULL);
    return s_reason[0] ? s_reason : "no reason given";
}

hid_t cth_open_file(const char *path)
{
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
#if H5_VERSION_GE(1, 10, 7)
    /* Locks fail on some network file systems, and nothing is written. */
    H5Pset_file_locking(access, 0, 1);
#endif
    hid_t file = H5Fopen(path, H5F_ACC_RDONLY, access);
    if (file < 0)
        cth_fail("%s", cth_reason());
    return file;
}

static void limit(int resource, rlim_t most)
{
    struct rlimit now;
    if (getrlimit(resource, &now) == 0 && (now.rlim_max == RLIM_INFINITY || now.rlim_max > most)) {
        now.rlim_cur = now.rlim_max = most;
        setrlimit(resource, &now);
    }
}

/* What this process has already counts: the child is a copy of the parent. */
static void limit_memory(void)
{
    char text[256];
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        close(fd);
    if (length <= 0)
        return;
    text[length] = 0;
    unsigned long long data;
    if (sscanf(text, "%*u %*u %*u %*u %*u %llu", &data) == 1)
        limit(RLIMIT_DATA, (rlim_t)data * (rlim_t)sysconf(_SC_PAGESIZE) + CHILD_MEMORY_BYTES);
}

/* The parent's handlers of faults would write its crash report. */
static void restore_signals(void)
{
    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

int cth_start(
    void (*body)(const char *path, const char *dataset), const char *path, const char *dataset, int seconds, cth_stream **stream,
    char *message, int message_bytes)
{
    *stream = NULL;
    cth_stream *made = calloc(1, sizeof *made);
    int ends[2];
    if (!made || pipe2(ends, O_CLOEXEC) != 0) {
        cth_say(message, message_bytes, "no process can be started to read it (%s)", strerror(errno));
        free(made);
        return -1;
    }

    pid_t parent = getpid();
    made->pid = fork();
    if (made->pid == 0) {
        restore_signals();
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(1);
        close(ends[0]);
        s_out = ends[1];
        limit(RLIMIT_CORE, 0);
        limit(RLIMIT_CPU, (rlim_t)seconds);
        limit_memory();
        cth_quiet();
        body(path, dataset);
        send_frame(FRAME_END, "", 0);
        _exit(0);
    }

    close(ends[1]);
    if (made->pid < 0) {
        cth_say(message, message_bytes, "no process can be started to read it (%s)", strerror(errno));
        close(ends[0]);
        free(made);
        return -1;
    }

    made->fd = ends[0];
    made->seconds = seconds;
    *stream = made;
    return 0;
}

/* Fills `bytes`; the number read before the pipe ended. */
static size_t read_all(int fd, void *destination, size_t bytes)
{
    char *next = destination;
    size_t done = 0;
    while (done < bytes) {
        ssize_t got = read(fd, next + done, bytes - done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        done += (size_t)got;
    }
    return done;
}

static int64_t died(cth_stream *stream, char *message, int message_bytes)
{
    int status = 0;
    pid_t reaped;
    do
        reaped = waitpid(stream->pid, &status, 0);
    while (reaped < 0 && errno == EINTR);
    if (reaped == stream->pid)
        stream->pid = 0;
    if (reaped > 0 && WIFSIGNALED(status) && (WTERMSIG(status) == SIGXCPU || WTERMSIG(status) == SIGKILL))
        cth_say(message, message_bytes, "reading it took more than %d s and was given up", stream->seconds);
    else if (reaped > 0 && WIFSIGNALED(status))
        cth_say(message, message_bytes, "libhdf5 crashed on it (signal %d)", WTERMSIG(status));
    else
        cth_say(message, message_bytes, "reading it ended without a reason");
    stream->ended = 1;
    return -1;
}

int64_t cth_next(cth_stream *stream, void *destination, int64_t bytes, char *message, int message_bytes)
{
    if (stream->ended || bytes <= 0)
        return 0;
    while (stream->left == 0) {
        char header[FRAME_HEADER];
        if (read_all(stream->fd, header, sizeof header) != sizeof header)
            return died(stream, message, message_bytes);
        memcpy(&stream->left, header + 1, sizeof stream->left);
        if (header[0] == FRAME_END) {
            stream->ended = 1;
            return 0;
        }
        if (header[0] == FRAME_FAILED) {
            char text[CTH_MESSAGE_BYTES];
            size_t length = stream->left < sizeof text ? stream->left : sizeof text - 1;
            text[read_all(stream->fd, text, length)] = 0;
            cth_say(message, message_bytes, "%s", text);
            stream->ended = 1;
            return -1;
        }
        if (header[0] != FRAME_BYTES)
            return died(stream, message, message_bytes);
    }
    size_t wanted = (uint64_t)bytes < stream->left ? (size_t)bytes : stream->left;
    if (read_all(stream->fd, destination, wanted) != wanted)
        return died(stream, message, message_bytes);
    stream->left -= (uint32_t)wanted;
    return (int64_t)wanted;
}

void cth_close_stream(cth_stream *stream)
{
    if (!stream)
        return;
    close(stream->fd);
    if (stream->pid > 0) {
        kill(stream->pid, SIGKILL);
        while (waitpid(stream->pid, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    free(stream);
}
