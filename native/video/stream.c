// One pass over a file: container, best video stream, decoder, every frame in order. Nothing the container says about the
// number of frames is believed.
#include "internal.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

enum
{
    most_pixels = 64 * 1024 * 1024,    // 8K is 33 million; more is a damaged or hostile header
    most_memory = 1024 * 1024 * 1024,  // at a time: a picture of that size takes half of it; more is a damaged size
    weakest_probe = AVPROBE_SCORE_RETRY, // below it FFmpeg itself asks for more data before it believes in a format
};

// Containers that refer to other files (references in mov) get none.
static int refuse_other_files(struct AVFormatContext *format, AVIOContext **io, const char *url, int flags,
                              AVDictionary **options)
{
    (void)format, (void)io, (void)url, (void)flags, (void)options;
    return AVERROR(EPERM);
}

static int32_t fail_interrupted(struct ctv_stream *stream, const char *while_doing)
{
    if (ctv_clock_check(stream->clock) != CTV_OK)
        return ctv_clock_fail(stream->clock, stream->error, while_doing);
    if (stream->source->read_errno != 0)
        return ctv_fail(stream->error, CTV_UNREADABLE, "reading at byte %lld failed: %s",
                        (long long)stream->source->position, strerror(stream->source->read_errno));
    return CTV_OK;
}

// True once reading has come to the last byte or was sent beyond it.
static bool data_ended(const struct ctv_stream *stream)
{
    return stream->io && (stream->source->furthest > stream->source->size || avio_feof(stream->io) ||
                          avio_tell(stream->io) >= stream->source->size);
}

static int32_t open_container(struct ctv_stream *stream)
{
    ctv_log_begin();
    av_max_alloc(most_memory);
    stream->io = ctv_source_io(stream->source);
    if (!stream->io)
        return ctv_fail(stream->error, CTV_OUT_OF_MEMORY, "no memory for a read buffer");

    // By content alone: file names lie.
    ctv_input_format *kind = NULL;
    int score = av_probe_input_buffer2(stream->io, &kind, NULL, NULL, 0, 0);
    int32_t fault = score < 0 ? fail_interrupted(stream, "recognising the container") : CTV_OK;
    if (fault != CTV_OK)
        return fault;
    if (score < weakest_probe || !kind)
        return ctv_fail(stream->error, CTV_NOT_A_VIDEO, "its content is no container FFmpeg knows");
    if (strstr(kind->name, "_pipe") || strcmp(kind->name, "image2") == 0)
        return ctv_fail(stream->error, CTV_NOT_A_VIDEO, "it is a still image (%s)", kind->name);
    static const char *const others[] = {"hls", "dash", "concat", "imf", "sdp", "tty"};
    for (size_t i = 0; i < FF_ARRAY_ELEMS(others); i++)
        if (av_match_name(others[i], kind->name))
            return ctv_fail(stream->error, CTV_NOT_A_VIDEO, "it is a text or playlist (%s)", kind->name);

    stream->format = avformat_alloc_context();
    if (!stream->format)
        return ctv_fail(stream->error, CTV_OUT_OF_MEMORY, "no memory for a demuxer");
    stream->format->pb = stream->io;
    stream->format->flags |= AVFMT_FLAG_CUSTOM_IO;
    stream->format->io_open = refuse_other_files;
    stream->format->interrupt_callback = (AVIOInterruptCB){ctv_clock_interrupt, stream->clock};
    int code = avformat_open_input(&stream->format, NULL, kind, NULL);
    if (code >= 0)
        return CTV_OK;
    fault = fail_interrupted(stream, "reading the container's header");
    if (fault != CTV_OK)
        return fault;
    if (code == AVERROR(ENOMEM))
        return ctv_fail(stream->error, CTV_OUT_OF_MEMORY, "its %s header takes more memory than there is, or than %d MiB",
                        kind->name, most_memory >> 20);
    if (data_ended(stream))
        return ctv_fail(stream->error, CTV_TRUNCATED, "the file ends within the header of its container (%s): %s",
                        kind->name, ctv_log_last(code));
    return ctv_fail(stream->error, CTV_NOT_A_VIDEO, "it looks like %s, but its header makes no sense: %s", kind->name,
                    ctv_log_last(code));
}

static int32_t open_decoder(struct ctv_stream *stream)
{
    ctv_log_begin();
    int code = avformat_find_stream_info(stream->format, NULL);
    int32_t fault = fail_interrupted(stream, "analysing the streams");
    if (fault != CTV_OK)
        return fault;
    // Without this analysis some containers still decode; what is missing shows below.
    int index = av_find_best_stream(stream->format, AVMEDIA_TYPE_VIDEO, -1, -1, NULL, 0);
    if (index < 0 && code < 0)
        return ctv_fail(stream->error, CTV_NOT_A_VIDEO, "its streams cannot be analysed: %s", ctv_log_last(code));
    if (index < 0 || stream->format->streams[index]->disposition & AV_DISPOSITION_ATTACHED_PIC)
        return ctv_fail(stream->error, CTV_NO_VIDEO_STREAM, "its %u stream(s) (%s) hold no video",
                        stream->format->nb_streams, stream->format->iformat->name);
    stream->video = stream->format->streams[index];
    for (unsigned i = 0; i < stream->format->nb_streams; i++)
        stream->format->streams[i]->discard = (int)i == index ? AVDISCARD_DEFAULT : AVDISCARD_ALL;

    const AVCodec *decoder = avcodec_find_decoder(stream->video->codecpar->codec_id);
    if (!decoder)
        return ctv_fail(stream->error, CTV_UNSUPPORTED_CODEC, "this FFmpeg has no decoder for %s",
                        avcodec_get_name(stream->video->codecpar->codec_id));
    stream->codec = avcodec_alloc_context3(decoder);
    stream->packet = av_packet_alloc();
    stream->frame = av_frame_alloc();
    if (!stream->codec || !stream->packet || !stream->frame)
        return ctv_fail(stream->error, CTV_OUT_OF_MEMORY, "no memory for a decoder");
    code = avcodec_parameters_to_context(stream->codec, stream->video->codecpar);
    if (code >= 0)
    {
        stream->codec->thread_count = 1; // parallelism is across files
        stream->codec->pkt_timebase = stream->video->time_base;
        stream->codec->max_pixels = most_pixels;
        stream->codec->err_recognition |= AV_EF_CRCCHECK;
        code = avcodec_open2(stream->codec, decoder, NULL);
    }
    if (code < 0)
        return ctv_fail(stream->error, code == AVERROR(ENOMEM) ? CTV_OUT_OF_MEMORY : CTV_DECODE_ERROR,
                        "the %s decoder does not accept the stream: %s", decoder->name, ctv_log_last(code));
    return CTV_OK;
}

int32_t ctv_stream_open(struct ctv_stream *stream, struct ctv_source *source, const struct ctv_error *error)
{
    *stream = (struct ctv_stream){.source = source, .clock = source->clock, .error = error};
    int32_t fault = open_container(stream);
    return fault == CTV_OK ? open_decoder(stream) : fault;
}

int32_t ctv_stream_open_live(struct ctv_stream *stream, struct ctv_source *source, const char *address, ctv_live *live,
                             const struct ctv_error *error)
{
    *stream = (struct ctv_stream){.source = source, .clock = source->clock, .error = error, .live = live};
    av_max_alloc(most_memory);
    int32_t fault = live->is_address ? ctv_live_open(stream, address) : open_container(stream);
    if (fault == CTV_OK)
        fault = open_decoder(stream);
    if (fault == CTV_OK)
        ctv_live_begin(stream);
    if (fault == CTV_OK && live->tap)
        ctv_tap_begin(live->tap, stream->video);
    return fault;
}

static void note_damage(struct ctv_stream *stream, int code)
{
    if (stream->errors++ > 0)
        return;
    stream->first_error_frame = stream->decoded;
    stream->first_error_seconds = stream->timeline.seconds;
    av_strlcpy(stream->first_error, ctv_log_last(code), sizeof stream->first_error);
}

// Hands on every frame that is ready. Returns the sink's verdict, CTV_OK if the decoder wants more.
static int32_t receive_frames(struct ctv_stream *stream, ctv_frame_sink *sink, void *state)
{
    const int most_failures = 100; // a draining decoder that only fails would never end
    int failures = 0;
    for (;;)
    {
        if (ctv_clock_check(stream->clock) != CTV_OK)
            return ctv_clock_fail(stream->clock, stream->error, "decoding");
        int code = avcodec_receive_frame(stream->codec, stream->frame);
        if (code == AVERROR(EAGAIN) || code == AVERROR_EOF)
            return CTV_OK;
        if (code == AVERROR(ENOMEM))
            return ctv_fail(stream->error, CTV_OUT_OF_MEMORY, "no memory for frame %lld", (long long)stream->decoded);
        if (code < 0)
        {
            note_damage(stream, code);
            if (++failures >= most_failures)
                return CTV_OK;
            continue;
        }
        failures = 0;
        if (ctv_log_inventions() > stream->inventions || stream->frame->decode_error_flags != 0 ||
            stream->frame->flags & AV_FRAME_FLAG_CORRUPT)
            note_damage(stream, AVERROR_INVALIDDATA);
        stream->inventions = ctv_log_inventions();
        ctv_timeline_add(&stream->timeline, stream->format, stream->video, stream->frame);
        int32_t verdict = sink(state, stream->frame, stream->decoded);
        stream->decoded++;
        av_frame_unref(stream->frame);
        if (verdict != CTV_OK)
            return verdict;
    }
}

// A packet, or NULL to drain.
static int32_t decode_packet(struct ctv_stream *stream, const AVPacket *packet, ctv_frame_sink *sink, void *state)
{
    int code = avcodec_send_packet(stream->codec, packet);
    if (code == AVERROR(ENOMEM))
        return ctv_fail(stream->error, CTV_OUT_OF_MEMORY, "no memory to decode after frame %lld",
                        (long long)stream->decoded);
    if (code < 0 && code != AVERROR_EOF)
        note_damage(stream, code);
    return receive_frames(stream, sink, state);
}

// What comes before the first keyframe refers to pictures that the file does not have; some decoders would take grey for them.
static bool is_headless(struct ctv_stream *stream, bool is_key)
{
    const AVCodecDescriptor *codec = avcodec_descriptor_get(stream->video->codecpar->codec_id);
    if (stream->has_head || is_key || (codec && codec->props & AV_CODEC_PROP_INTRA_ONLY))
    {
        stream->has_head = true;
        return false;
    }
    stream->headless++;
    return true;
}

// Another recording begins with this packet, after the break whose mark lies two packets back: all its elementary streams are
// numbered anew, and it begins with a keyframe. Of keyframes alone a loss looks the same, but for its time stamps.
static bool begins_anew(const struct ctv_stream *stream)
{
    const AVPacket *packet = stream->packet;
    bool is_key = packet->flags & AV_PKT_FLAG_KEY;
    // Apart before the difference is taken: a packet without a time stamp has the least number that there is.
    double step = ((double)packet->dts - (double)stream->was_at) * av_q2d(stream->video->time_base);
    return stream->is_joined && is_key && (!stream->was_key || step < 0 || step > 1);
}

// A demuxer that parses frames apart marks the one before the frame in or behind which a broadcast's numbering breaks. Either
// packets were lost there, or two sound recordings were joined behind it; then the decoder begins anew, so that nothing refers
// across.
static int32_t take_packet(struct ctv_stream *stream, ctv_frame_sink *sink, void *state)
{
    AVPacket *packet = stream->packet;
    bool is_key = packet->flags & AV_PKT_FLAG_KEY, is_corrupt = packet->flags & AV_PKT_FLAG_CORRUPT;
    if (is_headless(stream, is_key))
        return CTV_OK;
    if (stream->interrupted > 0 && stream->interrupted++ == 2)
    {
        stream->interrupted = 0;
        if (begins_anew(stream))
        {
            int32_t verdict = decode_packet(stream, NULL, sink, state);
            avcodec_flush_buffers(stream->codec);
            if (verdict != CTV_OK)
                return verdict;
        }
        else
            note_damage(stream, AVERROR_INVALIDDATA);
    }
    if (is_corrupt && stream->format->iformat->flags & AVFMT_TS_DISCONT)
    {
        stream->interrupted = 1;
        stream->is_joined = ctv_log_breaks() > stream->breaks;
        packet->flags &= ~AV_PKT_FLAG_CORRUPT; // decoders hand it on to their frames
    }
    else if (is_corrupt)
    {
        stream->truncated |= data_ended(stream);
        note_damage(stream, AVERROR_INVALIDDATA);
    }
    else if (stream->interrupted == 0)
        stream->breaks = ctv_log_breaks();
    stream->was_key = is_key;
    stream->was_at = packet->dts;
    return decode_packet(stream, packet, sink, state);
}

int32_t ctv_stream_decode(struct ctv_stream *stream, ctv_frame_sink *sink, void *state)
{
    ctv_log_begin();
    stream->inventions = ctv_log_inventions();
    ctv_log_watch(stream->video->id);
    int32_t verdict = CTV_OK;
    while (verdict == CTV_OK)
    {
        if (ctv_clock_check(stream->clock) != CTV_OK)
            return ctv_clock_fail(stream->clock, stream->error, "decoding");
        int code = stream->live ? ctv_live_read(stream) : av_read_frame(stream->format, stream->packet);
        if (code == AVERROR(EAGAIN))
            continue;
        if (code < 0)
        {
            int32_t fault = fail_interrupted(stream, "reading packets");
            if (fault != CTV_OK)
                return fault;
            if (stream->playlist.is_endless)
                return ctv_live_fail_endless(stream);
            if (code != AVERROR_EOF && stream->live && stream->live->is_address)
                return ctv_fail(stream->error, CTV_UNREACHABLE, "it broke off: %s", ctv_log_last(code));
            if (code != AVERROR_EOF)
            {
                stream->truncated |= data_ended(stream);
                note_damage(stream, code);
            }
            break;
        }
        if (stream->packet->stream_index == stream->video->index && (!stream->live || ctv_live_takes(stream, stream->packet)))
            verdict = take_packet(stream, sink, state);
        av_packet_unref(stream->packet);
    }
    if (verdict == CTV_OK)
    {
        if (stream->interrupted > 0)
        {
            stream->truncated |= data_ended(stream);
            note_damage(stream, AVERROR_INVALIDDATA);
        }
        verdict = decode_packet(stream, NULL, sink, state);
    }
    return verdict == CTV_ENOUGH ? CTV_OK : verdict;
}

void ctv_stream_describe(const struct ctv_stream *stream, ctv_info *info)
{
    AVRational rate = av_guess_frame_rate(stream->format, stream->video, NULL);
    info->frame_rate = rate.num > 0 && rate.den > 0 ? av_q2d(rate) : 0;
    if (stream->video->duration != AV_NOPTS_VALUE && stream->video->duration > 0)
        info->duration = (double)stream->video->duration * av_q2d(stream->video->time_base);
    else if (stream->format->duration != AV_NOPTS_VALUE && stream->format->duration > 0)
        info->duration = (double)stream->format->duration / AV_TIME_BASE;
    av_strlcpy(info->codec, avcodec_get_name(stream->video->codecpar->codec_id), sizeof info->codec);
    av_strlcpy(info->container, stream->format->iformat->name, sizeof info->container);
    info->width = stream->video->codecpar->width;
    info->height = stream->video->codecpar->height;
}

void ctv_stream_measure(const struct ctv_stream *stream, ctv_info *info)
{
    info->decoded_frames = stream->decoded;
    info->decode_errors = stream->errors;
    if (stream->decoded == 0)
        return;
    info->duration = stream->timeline.end;
    info->frame_rate = ctv_timeline_rate(&stream->timeline, av_guess_frame_rate(stream->format, stream->video, NULL));
}

int32_t ctv_stream_judge(const struct ctv_stream *stream, bool tolerate_damage)
{
    const char *codec = avcodec_get_name(stream->video->codecpar->codec_id);
    if (stream->decoded == 0 && stream->errors == 0 && stream->headless > 0)
        return ctv_fail(stream->error, CTV_ZERO_FRAMES,
                        "none of its %" PRId64 " %s packets is a keyframe, which the others refer to: the beginning is missing",
                        stream->headless, codec);
    if (stream->decoded == 0 && stream->errors == 0)
        return ctv_fail(stream->error, CTV_ZERO_FRAMES, "its %s stream holds no frame", codec);
    if (stream->decoded == 0)
        return ctv_fail(stream->error, stream->truncated ? CTV_TRUNCATED : CTV_ZERO_FRAMES,
                        "no frame of its %s stream decodes: %s", codec, stream->first_error);
    if (stream->errors == 0 || tolerate_damage)
        return CTV_OK;
    return ctv_fail(stream->error, stream->truncated ? CTV_TRUNCATED : CTV_DECODE_ERROR,
                    "%s after frame %" PRId64 " (%.2f s), %" PRId64 " damaged packets or frames, %" PRId64
                    " frames decode: %s",
                    stream->truncated ? "the data end" : "damaged", stream->first_error_frame, stream->first_error_seconds,
                    stream->errors, stream->decoded, stream->first_error);
}

void ctv_stream_close(struct ctv_stream *stream)
{
    av_frame_free(&stream->frame);
    av_packet_free(&stream->packet);
    avcodec_free_context(&stream->codec);
    avformat_close_input(&stream->format);
    if (stream->io)
    {
        av_freep(&stream->io->buffer);
        avio_context_free(&stream->io);
    }
}
