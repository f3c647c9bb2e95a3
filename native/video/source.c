// The file as FFmpeg sees it. Opening it ourselves (instead of handing FFmpeg a path) means: a FIFO or device is refused
// before anything can block on it, a path is never taken for a URL or a pattern, playlists cannot make us open other files,
// both passes read the same file even if its name is replaced meanwhile, and we know when a container points past the end.
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum
{
    io_buffer_bytes = 64 * 1024
};

static const char *kind_of(mode_t mode)
{
    if (S_ISDIR(mode))
        return "a directory";
    if (S_ISFIFO(mode))
        return "a FIFO (named pipe)";
    if (S_ISSOCK(mode))
        return "a socket";
    return "a device";
}

static int32_t fail_errno(const struct ctv_error *error, const char *action)
{
    int code = errno;
    bool absent = code == ENOENT || code == ENOTDIR || code == ENAMETOOLONG || code == ELOOP;
    return ctv_fail(error, absent ? CTV_NOT_FOUND : CTV_UNREADABLE, "cannot %s it: %s", action, strerror(code));
}

int32_t ctv_source_open(struct ctv_source *source, const char *path, struct ctv_clock *clock,
                        const struct ctv_error *error)
{
    *source = (struct ctv_source){.fd = -1, .clock = clock};
    // stat before open: opening a device can have side effects. fstat after it: the name may have changed hands.
    struct stat status;
    if (stat(path, &status) != 0)
        return fail_errno(error, "find");
    if (S_ISREG(status.st_mode))
    {
        source->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        if (source->fd < 0)
            return fail_errno(error, "open");
        if (fstat(source->fd, &status) != 0)
            return fail_errno(error, "inspect");
    }
    if (!S_ISREG(status.st_mode))
        return ctv_fail(error, CTV_NOT_A_REGULAR_FILE, "it is %s, not a regular file", kind_of(status.st_mode));
    if (status.st_size == 0)
        return ctv_fail(error, CTV_EMPTY, "the file has 0 bytes");
    source->size = status.st_size;
    return CTV_OK;
}

void ctv_source_close(struct ctv_source *source)
{
    if (source->fd >= 0)
        close(source->fd);
    source->fd = -1;
}

static int read_bytes(void *opaque, uint8_t *buffer, int bytes)
{
    struct ctv_source *source = opaque;
    if (ctv_clock_check(source->clock) != CTV_OK)
        return AVERROR_EXIT;
    // The size is the one at opening: a file still being written looks the same to both passes.
    int64_t available = source->size - source->position;
    if (available <= 0)
    {
        source->furthest = FFMAX(source->furthest, source->position);
        return AVERROR_EOF;
    }
    ssize_t count;
    do
        count = pread(source->fd, buffer, (size_t)FFMIN(available, bytes), source->position);
    while (count < 0 && errno == EINTR);
    if (count < 0)
    {
        source->read_errno = errno;
        return AVERROR(errno);
    }
    if (count == 0)
        return AVERROR_EOF;
    source->position += count;
    source->furthest = FFMAX(source->furthest, source->position);
    return (int)count;
}

static int64_t seek_to(void *opaque, int64_t offset, int whence)
{
    struct ctv_source *source = opaque;
    whence &= ~AVSEEK_FORCE;
    if (whence == AVSEEK_SIZE)
        return source->size;
    int64_t base = whence == SEEK_CUR ? source->position : whence == SEEK_END ? source->size : 0;
    if ((offset > 0 && base > INT64_MAX - offset) || base + offset < 0)
        return AVERROR(EINVAL);
    source->position = base + offset;
    source->furthest = FFMAX(source->furthest, source->position);
    return source->position;
}

AVIOContext *ctv_source_io(struct ctv_source *source)
{
    source->position = source->furthest = 0;
    uint8_t *buffer = av_malloc(io_buffer_bytes);
    if (!buffer)
        return NULL;
    AVIOContext *io = avio_alloc_context(buffer, io_buffer_bytes, 0, source, read_bytes, NULL, seek_to);
    if (!io)
        av_free(buffer);
    return io;
}
