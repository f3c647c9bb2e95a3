// Version, and the one place that fills a caller's message buffer.
#include "internal.h"

#include <stdarg.h>
#include <stdio.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

int32_t ctv_fail(const struct ctv_error *error, int32_t fault, const char *format, ...)
{
    if (error->text && error->bytes > 0)
    {
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(error->text, (size_t)error->bytes, format, arguments);
        va_end(arguments);
    }
    return fault;
}

int32_t ctv_abi(void)
{
    return CTV_ABI;
}

void ctv_version(char *text, int32_t text_bytes)
{
    if (!text || text_bytes <= 0)
        return;
    unsigned container = avformat_version(), codec = avcodec_version();
    snprintf(text, (size_t)text_bytes, "FFmpeg %s (libavformat %u.%u.%u, libavcodec %u.%u.%u)", av_version_info(),
             AV_VERSION_MAJOR(container), AV_VERSION_MINOR(container), AV_VERSION_MICRO(container),
             AV_VERSION_MAJOR(codec), AV_VERSION_MINOR(codec), AV_VERSION_MICRO(codec));
}

void ctv_share_heaps(void)
{
#ifdef __GLIBC__
    mallopt(M_ARENA_MAX, 4);
#endif
}

void ctv_trim(void)
{
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}
