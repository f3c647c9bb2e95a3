// Video that does not end: addresses, cameras and pipes. What is open to the network opens nothing else: each kind of address
// has the protocols that belong to it, so that a playlist cannot name a file of this machine.
#include "internal.h"

#include <dlfcn.h>
#include <libavutil/time.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

static const int64_t second = 1000000000;
static const int64_t longest_playlist = 8 << 20;
static const double minute = 60, usual_wait = 0.01;

struct kind
{
    const char *scheme;
    const char *protocols; // that may be opened on the way
};

static const struct kind kinds[] = {
    {"rtsp://", "rtp,udp,tcp"},
    {"rtsps://", "rtp,udp,tcp,tls"},
    {"http://", "http,https,httpproxy,tcp,tls,crypto,data"},
    {"https://", "http,https,httpproxy,tcp,tls,crypto,data"},
    {"udp://", "udp"},
    {"tcp://", "tcp"},
    {"pipe:", "pipe"},
};

static pthread_once_t prepared = PTHREAD_ONCE_INIT;
static bool has_devices;

// Cameras at /dev/video are opened by a library of FFmpeg's that brings much else along, so it is used only where it is.
static void prepare(void)
{
    ctv_share_heaps();
    avformat_network_init();
    char name[32];
    snprintf(name, sizeof name, "libavdevice.so.%d", LIBAVFORMAT_VERSION_MAJOR);
    void *library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    void (*announce)(void) = NULL;
    if (library)
        *(void **)&announce = dlsym(library, "avdevice_register_all");
    if (announce)
        announce();
    has_devices = announce != NULL;
}

static const struct kind *kind_of(const char *address)
{
    for (size_t i = 0; i < FF_ARRAY_ELEMS(kinds); i++)
        if (strncmp(address, kinds[i].scheme, strlen(kinds[i].scheme)) == 0)
            return &kinds[i];
    return NULL;
}

static int32_t fault_of(int code)
{
    switch (code)
    {
    case AVERROR_HTTP_UNAUTHORIZED:
    case AVERROR_HTTP_FORBIDDEN:
    case AVERROR(EPERM):
    case AVERROR(EACCES):
        return CTV_REFUSED;
    case AVERROR_HTTP_NOT_FOUND:
    case AVERROR(ENOENT):
        return CTV_NOT_FOUND;
    case AVERROR_INVALIDDATA:
        return CTV_NOT_A_VIDEO;
    case AVERROR(ENOMEM):
        return CTV_OUT_OF_MEMORY;
    default:
        return CTV_UNREACHABLE;
    }
}

// What comes in segments comes in bursts, whose first packets would look late; the segments that a playlist begins with are in hand.
static bool is_segmented(const struct ctv_stream *stream)
{
    const char *name = stream->format->iformat ? stream->format->iformat->name : "";
    return strncmp(name, "hls", 3) == 0 || strncmp(name, "dash", 4) == 0;
}

static int interrupt(void *of)
{
    struct ctv_stream *stream = of;
    struct ctv_playlist *list = &stream->playlist;
    if (list->io && list->io->bytes_read - list->before > longest_playlist)
        list->is_endless = true;
    // The first playlist is what the address itself names.
    if (!stream->video && is_segmented(stream) && stream->format->pb && stream->format->pb->bytes_read > longest_playlist)
        list->is_endless = true;
    return list->is_endless || ctv_clock_interrupt(stream->clock);
}

// Until the stream is open all that is opened may be a playlist, later what is called so.
static int open_part(AVFormatContext *format, AVIOContext **io, const char *url, int flags, AVDictionary **options)
{
    struct ctv_stream *stream = format->opaque;
    int code = stream->playlist.open(format, io, url, flags, options);
    if (code >= 0 && is_segmented(stream) && (!stream->video || strstr(url, ".m3u8") || strstr(url, ".mpd")))
    {
        stream->playlist.io = *io;
        stream->playlist.before = 0;
    }
    return code;
}

static int close_part(AVFormatContext *format, AVIOContext *io)
{
    struct ctv_stream *stream = format->opaque;
    if (stream->playlist.io == io)
        stream->playlist.io = NULL;
    return stream->playlist.close(format, io);
}

int32_t ctv_live_fail_endless(struct ctv_stream *stream)
{
    return ctv_fail(stream->error, CTV_NOT_A_VIDEO, "its playlist is longer than %d MB", (int)(longest_playlist >> 20));
}

int32_t ctv_live_open(struct ctv_stream *stream, const char *address)
{
    ctv_log_begin();
    pthread_once(&prepared, prepare);
    bool is_device = strncmp(address, "/dev/", 5) == 0;
    const struct kind *kind = kind_of(address);
    if (!kind && !is_device)
        return ctv_fail(stream->error, CTV_INVALID_ARGUMENT, "it is no address of a kind that can be opened");
    ctv_input_format *format = NULL;
    if (is_device && !(has_devices && (format = av_find_input_format("v4l2"))))
        return ctv_fail(stream->error, CTV_UNSUPPORTED_CODEC, "cameras of this machine need FFmpeg's libavdevice (Debian: libavdevice%d)",
                        LIBAVFORMAT_VERSION_MAJOR);
    stream->format = avformat_alloc_context();
    if (!stream->format)
        return ctv_fail(stream->error, CTV_OUT_OF_MEMORY, "no memory for a demuxer");
    stream->format->interrupt_callback = (AVIOInterruptCB){interrupt, stream};
    stream->format->opaque = stream;
    stream->playlist.open = stream->format->io_open;
    stream->playlist.close = stream->format->io_close2;
    stream->format->io_open = open_part;
    stream->format->io_close2 = close_part;
    stream->format->max_analyze_duration = 2 * AV_TIME_BASE;
    AVDictionary *options = NULL;
    if (kind)
        av_dict_set(&options, "protocol_whitelist", kind->protocols, 0);
    av_dict_set(&options, "rtsp_transport", "tcp", 0);
    int code = avformat_open_input(&stream->format, address, format, &options);
    av_dict_free(&options);
    if (code >= 0)
        return CTV_OK;
    if (stream->playlist.is_endless)
        return ctv_live_fail_endless(stream);
    if (ctv_clock_check(stream->clock) != CTV_OK)
        return ctv_clock_fail(stream->clock, stream->error, "opening it");
    return ctv_fail(stream->error, fault_of(code), "%s", ctv_log_last(code));
}

// The delay of the moment is measured against the least of this minute and the last: clocks of cameras run a little faster or
// slower than ours, which over days would look like a delay, or hide one.
double ctv_live_delay(struct ctv_stream *stream, double stamp)
{
    struct ctv_live_clock *pace = &stream->pace;
    double now = (double)(ctv_now_ns() - pace->began) / 1e9, delay = now - (stamp - pace->first);
    if (now - pace->minute >= minute)
    {
        pace->minute = now;
        pace->least[0] = pace->least[1];
        pace->least[1] = delay;
    }
    pace->least[1] = fmin(pace->least[1], delay);
    return delay - fmin(pace->least[0], pace->least[1]);
}

// Whoever sleeps until packets come has read all there is: whatever their stamps say, no delay is ours then. Stamps jump and slip,
// and senders pause. A thread that is merely kept from its processor does not sleep.
int ctv_live_read(struct ctv_stream *stream)
{
    struct ctv_live_clock *pace = &stream->pace;
    struct rusage before, after;
    int64_t began = ctv_now_ns();
    if (stream->playlist.io)
        stream->playlist.before = stream->playlist.io->bytes_read;
    getrusage(RUSAGE_THREAD, &before);
    int code = av_read_frame(stream->format, stream->packet);
    getrusage(RUSAGE_THREAD, &after);
    int64_t now = ctv_now_ns();
    if (after.ru_nvcsw != before.ru_nvcsw)
        pace->asleep += now - began;
    if (now - pace->counted_from >= second)
    {
        pace->is_even = pace->asleep >= (now - pace->counted_from) / 4;
        pace->counted_from = now;
        pace->asleep = 0;
    }
    return code;
}

static void wait_until_due(struct ctv_stream *stream, double stamp)
{
    struct ctv_live_clock *pace = &stream->pace;
    for (;;)
    {
        double left = stamp - pace->first - (double)(ctv_now_ns() - pace->began) / 1e9;
        if (left <= 0 || left > minute || ctv_clock_check(stream->clock) != CTV_OK)
            return;
        av_usleep((unsigned)(1e6 * fmin(left, usual_wait)));
    }
}

void ctv_live_begin(struct ctv_stream *stream)
{
    bool is_piped = strcmp(stream->format->url, "pipe:0") == 0;
    if (!stream->live->is_address || is_piped || !(stream->format->iformat->flags & AVFMT_NOTIMESTAMPS))
        return;
    stream->pace.is_stamped = true;
    stream->video->time_base = stream->codec->pkt_timebase = (AVRational){1, 90000};
}

bool ctv_live_takes(struct ctv_stream *stream, AVPacket *packet)
{
    ctv_live *live = stream->live;
    struct ctv_live_clock *pace = &stream->pace;
    if (pace->is_stamped)
        packet->pts = packet->dts = av_rescale_q(ctv_now_ns(), (AVRational){1, 1000000000}, stream->video->time_base);
    int64_t time = packet->dts != AV_NOPTS_VALUE ? packet->dts : packet->pts;
    double unit = av_q2d(stream->video->time_base);
    if (time != AV_NOPTS_VALUE)
    {
        double stamp = (double)time * unit;
        bool has_jumped = pace->has_begun && fabs(stamp - pace->first - (double)(ctv_now_ns() - pace->began) / 1e9) > minute;
        if (!pace->has_begun || has_jumped)
            *pace = (struct ctv_live_clock){.began = ctv_now_ns(), .has_begun = true, .first = stamp, .passing = pace->passing,
                                             .is_stamped = pace->is_stamped, .counted_from = pace->counted_from,
                                             .asleep = pace->asleep};
        if (live->paced || is_segmented(stream))
            wait_until_due(stream, stamp);
        if (pace->is_even)
            pace->least[0] = pace->least[1] = (double)(ctv_now_ns() - pace->began) / 1e9 - (stamp - pace->first);
        pace->is_even = false;
        bool is_late = ctv_live_delay(stream, stamp) > live->late && live->late > 0;
        pace->passing = is_late || (pace->passing && !(packet->flags & AV_PKT_FLAG_KEY));
    }
    const struct ctv_timeline *timeline = &stream->timeline;
    if (live->tap)
        ctv_tap_add(live->tap, packet, timeline->frames > 0 ? timeline->stamp_seconds - timeline->stamp : -pace->first,
                    timeline->frames > 0);
    if (pace->passing)
        __atomic_add_fetch(&live->passed_over, 1, __ATOMIC_RELAXED);
    return !pace->passing;
}
