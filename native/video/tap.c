// The latest packets of a walk as they came, in a ring of limited time and size, and files made of them: nothing is encoded anew,
// so keeping them costs no more than their memory, and a file is as good as the camera's picture.
#include "internal.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct kept
{
    AVPacket *packet;
    double seconds; // of the walk
    struct kept *next;
};

// What a file says of its packets.
struct form
{
    AVCodecParameters *codec; // NULL before the first walk
    AVRational time_base, rate, aspect;
};

struct ctv_tap
{
    pthread_mutex_t lock;
    double seconds;
    int64_t most_bytes, bytes;
    struct kept *first, *last;
    struct form form;
};

ctv_tap *ctv_tap_open(double seconds, int64_t bytes)
{
    ctv_tap *tap = calloc(1, sizeof *tap);
    if (!tap)
        return NULL;
    pthread_mutex_init(&tap->lock, NULL);
    tap->seconds = seconds;
    tap->most_bytes = bytes;
    return tap;
}

static void drop_first(ctv_tap *tap)
{
    struct kept *kept = tap->first;
    tap->first = kept->next;
    if (!tap->first)
        tap->last = NULL;
    tap->bytes -= kept->packet->size;
    av_packet_free(&kept->packet);
    free(kept);
}

static void drop_all(ctv_tap *tap)
{
    while (tap->first)
        drop_first(tap);
}

void ctv_tap_free(ctv_tap *tap)
{
    if (!tap)
        return;
    drop_all(tap);
    avcodec_parameters_free(&tap->form.codec);
    pthread_mutex_destroy(&tap->lock);
    free(tap);
}

void ctv_tap_begin(ctv_tap *tap, const AVStream *video)
{
    pthread_mutex_lock(&tap->lock);
    drop_all(tap);
    struct form *form = &tap->form;
    form->time_base = video->time_base;
    form->rate = video->avg_frame_rate;
    form->aspect = video->sample_aspect_ratio;
    if (!form->codec)
        form->codec = avcodec_parameters_alloc();
    if (form->codec && avcodec_parameters_copy(form->codec, video->codecpar) < 0)
        avcodec_parameters_free(&form->codec);
    pthread_mutex_unlock(&tap->lock);
}

void ctv_tap_add(ctv_tap *tap, const AVPacket *packet, double offset)
{
    int64_t time = packet->pts != AV_NOPTS_VALUE ? packet->pts : packet->dts;
    struct kept *kept = time != AV_NOPTS_VALUE ? calloc(1, sizeof *kept) : NULL;
    if (!kept)
        return;
    kept->packet = av_packet_clone(packet);
    kept->seconds = (double)time * av_q2d(tap->form.time_base) + offset;
    if (!kept->packet)
    {
        free(kept);
        return;
    }
    pthread_mutex_lock(&tap->lock);
    if (tap->last)
        tap->last->next = kept;
    else
        tap->first = kept;
    tap->last = kept;
    tap->bytes += packet->size;
    while (tap->first != tap->last && (tap->bytes > tap->most_bytes || kept->seconds - tap->first->seconds > tap->seconds))
        drop_first(tap);
    pthread_mutex_unlock(&tap->lock);
}

static const char *container_of(enum AVCodecID codec)
{
    switch (codec)
    {
    case AV_CODEC_ID_H264:
    case AV_CODEC_ID_HEVC:
    case AV_CODEC_ID_MPEG4:
    case AV_CODEC_ID_AV1:
    case AV_CODEC_ID_VP9:
        return "mp4";
    default:
        return "mkv";
    }
}

void ctv_tap_container(ctv_tap *tap, char *text, int32_t text_bytes)
{
    pthread_mutex_lock(&tap->lock);
    av_strlcpy(text, tap->form.codec && tap->first ? container_of(tap->form.codec->codec_id) : "", (size_t)text_bytes);
    pthread_mutex_unlock(&tap->lock);
}

// References to the packets, so that writing them holds nobody up.
static AVPacket **take_packets(ctv_tap *tap, double from, double to, size_t *count)
{
    const struct kept *first = NULL;
    for (const struct kept *kept = tap->first; kept && (kept->seconds <= from || !first); kept = kept->next)
        if (kept->packet->flags & AV_PKT_FLAG_KEY)
            first = kept;
    *count = 0;
    size_t most = 0;
    for (const struct kept *kept = first; kept; kept = kept->next)
        most++;
    AVPacket **packets = calloc(most + 1, sizeof *packets);
    for (const struct kept *kept = first; kept && packets; kept = kept->next)
    {
        // Pictures that are shown later than `to` may come before others that are shown earlier; a second covers any reordering.
        if (kept->seconds > to + 1)
            break;
        if (kept->seconds <= to && (packets[*count] = av_packet_clone(kept->packet)))
            ++*count;
    }
    return packets;
}

static int32_t write_packets(const struct form *form, AVPacket **packets, size_t count, const char *path,
                             const struct ctv_error *error)
{
    AVFormatContext *format = NULL;
    const char *container = container_of(form->codec->codec_id);
    int code = avformat_alloc_output_context2(&format, NULL, strcmp(container, "mkv") == 0 ? "matroska" : container, NULL);
    if (code < 0)
        return ctv_fail(error, CTV_UNSUPPORTED_CODEC, "this FFmpeg cannot write %s: %s", container, ctv_averror(code));
    AVStream *stream = avformat_new_stream(format, NULL);
    if (!stream || avcodec_parameters_copy(stream->codecpar, form->codec) < 0)
    {
        avformat_free_context(format);
        return ctv_fail(error, CTV_OUT_OF_MEMORY, "no memory to write it");
    }
    stream->codecpar->codec_tag = 0;
    stream->time_base = form->time_base;
    stream->avg_frame_rate = form->rate;
    stream->sample_aspect_ratio = form->aspect;
    AVDictionary *options = NULL;
    av_dict_set(&options, "movflags", "+faststart", 0);
    code = avio_open(&format->pb, path, AVIO_FLAG_WRITE);
    if (code >= 0)
        code = avformat_write_header(format, &options);
    av_dict_free(&options);
    int64_t start = packets[0]->dts != AV_NOPTS_VALUE ? packets[0]->dts : packets[0]->pts, last = INT64_MIN;
    for (size_t i = 0; i < count && code >= 0; i++)
    {
        AVPacket *packet = packets[i];
        if (packet->dts == AV_NOPTS_VALUE)
            packet->dts = packet->pts;
        // A clock that jumps back would be refused; its packets are left out.
        if (packet->dts - start <= last)
            continue;
        last = packet->dts - start;
        packet->stream_index = 0;
        packet->pts = packet->pts == AV_NOPTS_VALUE ? AV_NOPTS_VALUE : packet->pts - start;
        packet->dts = last;
        av_packet_rescale_ts(packet, form->time_base, stream->time_base);
        code = av_write_frame(format, packet);
    }
    if (code >= 0)
        code = av_write_trailer(format);
    int64_t broken = format->pb ? format->pb->error : 0;
    if (code >= 0 && broken < 0)
        code = (int)broken;
    int closed = avio_closep(&format->pb);
    if (code >= 0)
        code = closed;
    avformat_free_context(format);
    return code >= 0 ? CTV_OK : ctv_fail(error, CTV_WRITE_FAILED, "%s", ctv_log_last(code));
}

int32_t ctv_tap_save(ctv_tap *tap, double from, double to, const char *path, char *message, int32_t message_bytes)
{
    const struct ctv_error error = {message, message_bytes};
    ctv_fail(&error, CTV_OK, "%s", "");
    ctv_log_begin();
    pthread_mutex_lock(&tap->lock);
    size_t count = 0;
    AVPacket **packets = take_packets(tap, from, to, &count);
    struct form form = tap->form;
    form.codec = avcodec_parameters_alloc();
    int copied = form.codec && tap->form.codec ? avcodec_parameters_copy(form.codec, tap->form.codec) : -1;
    pthread_mutex_unlock(&tap->lock);
    int32_t fault;
    if (!packets || (copied < 0 && count > 0))
        fault = ctv_fail(&error, CTV_OUT_OF_MEMORY, "no memory to write it");
    else if (count == 0)
        fault = ctv_fail(&error, CTV_ZERO_FRAMES, "nothing is kept of that time any more");
    else
        fault = write_packets(&form, packets, count, path, &error);
    for (size_t i = 0; packets && i < count; i++)
        av_packet_free(&packets[i]);
    free(packets);
    avcodec_parameters_free(&form.codec);
    return fault;
}
