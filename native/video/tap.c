// The latest packets of a walk as they came, in a ring of limited time and size, clips taken out of it, and files made of these:
// nothing is encoded anew, so keeping them costs no more than their memory, and a file is as good as the camera's picture.
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
    double offset; // by which the packets were placed in time so far, before the first frame is known
    bool is_placed;
    struct form form;
};

struct ctv_clip
{
    struct form form;
    AVPacket **packets; // in decoding order, the first a keyframe
    size_t count;
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
    ctv_trim();
}

void ctv_tap_begin(ctv_tap *tap, const AVStream *video)
{
    pthread_mutex_lock(&tap->lock);
    drop_all(tap);
    tap->is_placed = false;
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

// Nobody knows when the first frame is shown before it is decoded; then the packets that are there move to their places.
static void place(ctv_tap *tap, double offset, bool is_known)
{
    for (struct kept *kept = tap->first; kept && is_known && !tap->is_placed; kept = kept->next)
        kept->seconds += offset - tap->offset;
    tap->is_placed = is_known;
    tap->offset = offset;
}

void ctv_tap_add(ctv_tap *tap, const AVPacket *packet, double offset, bool is_known)
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
    place(tap, offset, is_known);
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

static const struct kept *keyframe_at(const ctv_tap *tap, double from)
{
    const struct kept *found = NULL;
    for (const struct kept *kept = tap->first; kept && (kept->seconds <= from || !found); kept = kept->next)
        if (kept->packet->flags & AV_PKT_FLAG_KEY)
            found = kept;
    return found;
}

// Pictures that are shown later than `to` may be decoded before others that are shown earlier and refer to them; a second covers
// any reordering. Then those between belong to it as well. NULL when all of it is later.
static const struct kept *last_until(const struct kept *first, double to)
{
    const struct kept *found = NULL;
    double latest = first->seconds, latest_found = latest;
    for (const struct kept *kept = first; kept && kept->seconds <= to + 1; kept = kept->next)
    {
        latest = FFMAX(latest, kept->seconds);
        if (kept->seconds <= to)
        {
            found = kept;
            latest_found = latest;
        }
    }
    while (found && found->next && found->next->seconds < latest_found)
        found = found->next;
    return found;
}

// References to the packets, so that writing them holds nobody up and the ring may go on.
static bool take_packets(const ctv_tap *tap, double from, double to, ctv_clip *clip, ctv_clip_info *info)
{
    const struct kept *first = keyframe_at(tap, from), *last = first ? last_until(first, to) : NULL;
    size_t most = 0;
    for (const struct kept *kept = first; kept && last; kept = kept == last ? NULL : kept->next)
        most++;
    if (most == 0 || !(clip->packets = calloc(most, sizeof *clip->packets)))
        return false;
    *info = (ctv_clip_info){.start = first->seconds};
    for (const struct kept *kept = first; kept; kept = kept == last ? NULL : kept->next)
    {
        // What is shown before the keyframe that it follows refers to pictures before that as well.
        if (kept->seconds < first->seconds)
            continue;
        AVPacket *packet = av_packet_clone(kept->packet);
        if (!packet)
            return false;
        clip->packets[clip->count++] = packet;
        info->end = FFMAX(info->end, kept->seconds);
        info->bytes += packet->size;
    }
    return true;
}

static bool copy_form(const struct form *from, struct form *to)
{
    *to = *from;
    to->codec = from->codec ? avcodec_parameters_alloc() : NULL;
    return to->codec && avcodec_parameters_copy(to->codec, from->codec) >= 0;
}

ctv_clip *ctv_tap_take(ctv_tap *tap, double from, double to, ctv_clip_info *info)
{
    ctv_clip *clip = calloc(1, sizeof *clip);
    if (!clip)
        return NULL;
    pthread_mutex_lock(&tap->lock);
    bool is_there = copy_form(&tap->form, &clip->form) && take_packets(tap, from, to, clip, info);
    pthread_mutex_unlock(&tap->lock);
    if (is_there)
        av_strlcpy(info->container, container_of(clip->form.codec->codec_id), sizeof info->container);
    else
    {
        ctv_clip_free(clip);
        clip = NULL;
    }
    return clip;
}

void ctv_clip_free(ctv_clip *clip)
{
    if (!clip)
        return;
    for (size_t i = 0; i < clip->count; i++)
        av_packet_free(&clip->packets[i]);
    free(clip->packets);
    avcodec_parameters_free(&clip->form.codec);
    free(clip);
}

static int32_t open_file(AVFormatContext *format, const struct form *form, const char *path, const struct ctv_error *error)
{
    AVStream *stream = avformat_new_stream(format, NULL);
    // Never another protocol, whatever the path looks like. The muxer keeps it: it reads the file again for a fast start.
    format->url = av_asprintf("file:%s", path);
    if (!stream || !format->url || avcodec_parameters_copy(stream->codecpar, form->codec) < 0)
        return ctv_fail(error, CTV_OUT_OF_MEMORY, "no memory to write it");
    stream->codecpar->codec_tag = 0;
    stream->time_base = form->time_base;
    stream->avg_frame_rate = form->rate;
    stream->sample_aspect_ratio = form->aspect;
    int code = avio_open(&format->pb, format->url, AVIO_FLAG_WRITE);
    if (code < 0)
        return ctv_fail(error, code == AVERROR(ENOENT) ? CTV_NOT_FOUND : CTV_WRITE_FAILED, "cannot create it: %s", ctv_averror(code));
    AVDictionary *options = NULL;
    av_dict_set(&options, "movflags", "+faststart", 0);
    code = avformat_write_header(format, &options);
    av_dict_free(&options);
    return code < 0 ? ctv_fail(error, CTV_WRITE_FAILED, "%s cannot hold %s video: %s", format->oformat->name,
                               avcodec_get_name(form->codec->codec_id), ctv_log_last(code))
                    : CTV_OK;
}

static int write_packets(AVFormatContext *format, const ctv_clip *clip)
{
    AVPacket *packet = av_packet_alloc();
    int code = packet ? 0 : AVERROR(ENOMEM);
    const AVPacket *first = clip->packets[0];
    int64_t start = first->dts != AV_NOPTS_VALUE ? first->dts : first->pts, last = INT64_MIN;
    for (size_t i = 0; i < clip->count && code >= 0; i++)
    {
        const AVPacket *source = clip->packets[i];
        int64_t time = (source->dts != AV_NOPTS_VALUE ? source->dts : source->pts) - start;
        // A clock that jumps back would be refused; its packets are left out.
        if (time <= last || (code = av_packet_ref(packet, source)) < 0)
            continue;
        last = time;
        packet->stream_index = 0;
        packet->pts = packet->pts == AV_NOPTS_VALUE ? AV_NOPTS_VALUE : packet->pts - start;
        packet->dts = time;
        av_packet_rescale_ts(packet, clip->form.time_base, format->streams[0]->time_base);
        code = av_write_frame(format, packet);
        // A damaged stream has packets that no container takes; the others make a clip all the same.
        if (code == AVERROR(EINVAL) || code == AVERROR_INVALIDDATA)
            code = 0;
        av_packet_unref(packet);
    }
    av_packet_free(&packet);
    // The trailer gives back the muxer's memory even where it cannot be written.
    int ended = av_write_trailer(format);
    return code < 0 ? code : ended;
}

int32_t ctv_clip_save(const ctv_clip *clip, const char *path, char *message, int32_t message_bytes)
{
    const struct ctv_error error = {message, message_bytes};
    ctv_fail(&error, CTV_OK, "%s", "");
    ctv_log_begin();
    const char *container = container_of(clip->form.codec->codec_id);
    AVFormatContext *format = NULL;
    int code = avformat_alloc_output_context2(&format, NULL, strcmp(container, "mkv") == 0 ? "matroska" : container, NULL);
    if (code < 0)
        return ctv_fail(&error, CTV_UNSUPPORTED_CODEC, "this FFmpeg cannot write %s: %s", container, ctv_averror(code));
    int32_t fault = open_file(format, &clip->form, path, &error);
    if (fault == CTV_OK)
    {
        code = write_packets(format, clip);
        code = code < 0 ? code : format->pb->error;
    }
    int closed = avio_closep(&format->pb);
    code = code < 0 ? code : closed;
    avformat_free_context(format);
    return fault != CTV_OK || code >= 0 ? fault : ctv_fail(&error, CTV_WRITE_FAILED, "%s", ctv_averror(code));
}
