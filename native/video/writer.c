// RGB frames into a video file. One encoder thread and FFmpeg's bit-exact flags: the same frames give the same file on one
// FFmpeg build.
#include "internal.h"

#include <libavutil/imgutils.h>
#include <libavutil/opt.h>
#include <math.h>
#include <string.h>

enum quality_kind
{
    quality_lossless,
    quality_qscale,  // 2 (good) to 31
    quality_crf,     // constant rate factor: 11 (good) to 51
    quality_crf_vpx, // 8 (good) to 63, under a bit-rate ceiling
    quality_bit_rate
};

struct encoder
{
    const char *codec;
    const char *name; // FFmpeg's encoder
    enum quality_kind quality;
    enum AVPixelFormat format;
};

// Several for one codec: the better first.
static const struct encoder encoders[] = {
    {"h264", "libx264", quality_crf, AV_PIX_FMT_YUV420P},
    {"h264", "libopenh264", quality_bit_rate, AV_PIX_FMT_YUV420P},
    {"mpeg4", "mpeg4", quality_qscale, AV_PIX_FMT_YUV420P},
    {"mjpeg", "mjpeg", quality_qscale, AV_PIX_FMT_YUVJ420P},
    {"vp8", "libvpx", quality_crf_vpx, AV_PIX_FMT_YUV420P},
    {"vp9", "libvpx-vp9", quality_crf_vpx, AV_PIX_FMT_YUV420P},
    {"ffv1", "ffv1", quality_lossless, AV_PIX_FMT_0RGB32},
    {"wmv2", "wmv2", quality_qscale, AV_PIX_FMT_YUV420P},
    {"flv1", "flv", quality_qscale, AV_PIX_FMT_YUV420P},
    {"mpeg2video", "mpeg2video", quality_qscale, AV_PIX_FMT_YUV420P},
};

struct ctv_writer
{
    int width, height;
    AVFormatContext *format;
    AVStream *stream;
    AVCodecContext *codec;
    struct SwsContext *sws;
    AVFrame *rgb; // rows with the padding that the scaler's wide loads need
    AVFrame *frame;
    AVPacket *packet;
    int64_t count;
    bool has_times;
    int64_t last_time;  // of the latest frame, in the codec's time base
    int64_t frame_time; // how long a frame is shown of which nothing else is known
    bool finished;
};

static const struct encoder *find_encoder(const char *codec)
{
    for (size_t i = 0; i < FF_ARRAY_ELEMS(encoders); i++)
        if (strcmp(encoders[i].codec, codec) == 0 && avcodec_find_encoder_by_name(encoders[i].name))
            return &encoders[i];
    return NULL;
}

int32_t ctv_can_encode(const char *codec)
{
    ctv_log_begin();
    return codec && find_encoder(codec) != NULL;
}

static void set_quality(AVCodecContext *codec, enum quality_kind kind, int quality)
{
    double worse = (100 - quality) / 99.0; // 0 (best) to 1
    double pixels_per_second = (double)codec->width * codec->height * av_q2d(codec->framerate);
    switch (kind)
    {
    case quality_lossless:
        // FFV1 level 3 has checksums, and cuts every picture in at least four, which tiny ones do not survive.
        if (codec->width >= 16 && codec->height >= 16)
        {
            codec->level = 3;
            av_opt_set_int(codec->priv_data, "slicecrc", 1, 0);
        }
        break;
    case quality_qscale:
        codec->flags |= AV_CODEC_FLAG_QSCALE;
        codec->global_quality = FF_QP2LAMBDA * (int)(2.5 + 29 * worse);
        break;
    case quality_crf:
        av_opt_set_double(codec->priv_data, "crf", 11 + 40 * worse, 0);
        // The slowest preset without macroblock-tree lookahead, which in x264 164 with AVX-512 depends on uninitialised
        // memory: one input, many files.
        av_opt_set(codec->priv_data, "preset", "superfast", 0);
        break;
    case quality_crf_vpx:
        codec->bit_rate = (int64_t)(100000 + pixels_per_second);
        av_opt_set_int(codec->priv_data, "crf", (int)(8 + 55 * worse), 0);
        av_opt_set(codec->priv_data, "deadline", "realtime", 0);
        // Negative: a fixed speed. A positive one makes VP8 look at the clock, and the file depend on the machine's load.
        av_opt_set_int(codec->priv_data, "cpu-used", -8, 0);
        av_opt_set_int(codec->priv_data, "lag-in-frames", 0, 0);
        break;
    case quality_bit_rate:
        codec->bit_rate = (int64_t)(100000 + pixels_per_second * (0.3 - 0.28 * worse));
        break;
    }
}

// Zeroed throughout: some encoders look at the padding beyond the last column and row.
static AVFrame *new_picture(const ctv_writer *writer, int format)
{
    AVFrame *picture = av_frame_alloc();
    if (!picture)
        return NULL;
    picture->width = writer->width;
    picture->height = writer->height;
    picture->format = format;
    if (av_frame_get_buffer(picture, 0) < 0)
        av_frame_free(&picture);
    for (int i = 0; picture && i < AV_NUM_DATA_POINTERS && picture->buf[i]; i++)
        memset(picture->buf[i]->data, 0, (size_t)picture->buf[i]->size);
    return picture;
}

static int32_t open_encoder(ctv_writer *writer, const char *name, const ctv_write_options *options,
                            const struct ctv_error *error)
{
    const struct encoder *encoder = find_encoder(name);
    if (!encoder)
        return ctv_fail(error, CTV_UNSUPPORTED_CODEC, "this FFmpeg cannot encode %s", name);
    const AVCodec *description = avcodec_find_encoder_by_name(encoder->name);
    writer->stream = avformat_new_stream(writer->format, NULL);
    writer->codec = avcodec_alloc_context3(description);
    if (!writer->stream || !writer->codec)
        return ctv_fail(error, CTV_OUT_OF_MEMORY, "no memory for an encoder");

    AVCodecContext *codec = writer->codec;
    int format = encoder->format, range = AVCOL_RANGE_MPEG;
    // H.264 halves chroma only in even sizes.
    if (encoder->quality == quality_crf && (options->width % 2 || options->height % 2))
        format = AV_PIX_FMT_YUV444P;
    int plain = format;
    ctv_plain_format(&plain, &range);
    bool is_rgb = encoder->quality == quality_lossless;
    codec->width = options->width;
    codec->height = options->height;
    codec->pix_fmt = format;
    codec->color_range = is_rgb ? AVCOL_RANGE_UNSPECIFIED : range;
    codec->colorspace = is_rgb ? AVCOL_SPC_UNSPECIFIED : AVCOL_SPC_SMPTE170M;
    codec->framerate = (AVRational){options->frame_rate_num, options->frame_rate_den};
    codec->time_base = av_inv_q(codec->framerate);
    // MPEG-4 counts at most 65535 ticks a second; 60000 have all usual rates. AVI knows one rate only.
    if (options->has_times && strcmp(writer->format->oformat->name, "avi") != 0)
        codec->time_base = (AVRational){1, 60000};
    writer->has_times = options->has_times != 0;
    writer->frame_time = FFMAX(1, av_rescale_q(1, av_inv_q(codec->framerate), codec->time_base));
    codec->thread_count = 1;
    codec->flags |= AV_CODEC_FLAG_BITEXACT;
    if (writer->format->oformat->flags & AVFMT_GLOBALHEADER)
        codec->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    set_quality(codec, encoder->quality, options->quality);
    int code = avcodec_open2(codec, description, NULL);
    if (code >= 0)
        code = avcodec_parameters_from_context(writer->stream->codecpar, codec);
    if (code < 0)
        return ctv_fail(error, CTV_INVALID_ARGUMENT, "%s does not accept %dx%d at %d/%d frames per second: %s",
                        encoder->name, options->width, options->height, options->frame_rate_num,
                        options->frame_rate_den, ctv_log_last(code));
    writer->stream->time_base = codec->time_base;
    // A rate beside times of the frames' own would be a claim that is not true.
    if (!options->has_times)
        writer->stream->avg_frame_rate = codec->framerate;

    writer->sws = sws_getContext(codec->width, codec->height, AV_PIX_FMT_RGB24, codec->width, codec->height, plain,
                                 SWS_BICUBIC | SWS_ACCURATE_RND | SWS_BITEXACT, NULL, NULL, NULL);
    writer->packet = av_packet_alloc();
    writer->rgb = new_picture(writer, AV_PIX_FMT_RGB24);
    writer->frame = new_picture(writer, format);
    if (!writer->sws || !writer->packet || !writer->rgb || !writer->frame)
        return ctv_fail(error, CTV_OUT_OF_MEMORY, "no memory for a %dx%d picture", codec->width, codec->height);
    ctv_set_colours(writer->sws, codec->colorspace, range, false);
    writer->frame->color_range = codec->color_range;
    writer->frame->colorspace = codec->colorspace;
    return CTV_OK;
}

static int32_t open_file(ctv_writer *writer, const char *path, const ctv_write_options *options,
                         const struct ctv_error *error)
{
    // Never another protocol, whatever the path looks like. The muxer keeps it: it reads the file again for a fast start.
    writer->format->url = av_asprintf("file:%s", path);
    if (!writer->format->url)
        return ctv_fail(error, CTV_OUT_OF_MEMORY, "no memory for a path");
    int code = avio_open(&writer->format->pb, writer->format->url, AVIO_FLAG_WRITE);
    if (code < 0)
        return ctv_fail(error, code == AVERROR(ENOENT) ? CTV_NOT_FOUND : CTV_WRITE_FAILED, "cannot create it: %s",
                        ctv_averror(code));
    if (ctv_orientation_mark(writer->stream, options->rotation) < 0)
        return ctv_fail(error, CTV_OUT_OF_MEMORY, "no memory for the rotation");
    AVDictionary *settings = NULL;
    if (options->fast_start)
        av_dict_set(&settings, "movflags", "+faststart", 0);
    code = avformat_write_header(writer->format, &settings);
    av_dict_free(&settings);
    return code < 0 ? ctv_fail(error, CTV_WRITE_FAILED, "%s cannot hold %s video: %s", writer->format->oformat->name,
                               avcodec_get_name(writer->codec->codec_id), ctv_log_last(code))
                    : CTV_OK;
}

int32_t ctv_writer_open(const char *path, const char *container, const char *codec, const ctv_write_options *options,
                        ctv_writer **result, char *message, int32_t message_bytes)
{
    const struct ctv_error error = {message, message_bytes};
    ctv_fail(&error, CTV_OK, "%s", "");
    ctv_log_begin();
    const int32_t most_side = 16384;
    if (!path || !container || !codec || !options || !result || options->width <= 0 || options->width > most_side ||
        options->height <= 0 || options->height > most_side || options->frame_rate_num <= 0 ||
        options->frame_rate_den <= 0 || options->quality < 1 || options->quality > 100 || options->rotation % 90 != 0 ||
        options->rotation < 0 || options->rotation > 270)
        return ctv_fail(&error, CTV_INVALID_ARGUMENT, "a write option is out of range");
    *result = NULL;
    ctv_writer *writer = av_mallocz(sizeof *writer);
    if (!writer)
        return ctv_fail(&error, CTV_OUT_OF_MEMORY, "no memory for a writer");
    writer->width = options->width;
    writer->height = options->height;

    // FFmpeg would take .m4v for a raw stream.
    char name[40];
    snprintf(name, sizeof name, "x.%s", strcmp(container, "m4v") == 0 ? "mp4" : container);
    ctv_output_format *kind = av_guess_format(NULL, name, NULL);
    int32_t fault = kind ? CTV_OK : ctv_fail(&error, CTV_INVALID_ARGUMENT, "FFmpeg knows no container for .%s", container);
    if (fault == CTV_OK && avformat_alloc_output_context2(&writer->format, kind, NULL, NULL) < 0)
        fault = ctv_fail(&error, CTV_OUT_OF_MEMORY, "no memory for a container");
    if (fault == CTV_OK)
    {
        writer->format->flags |= AVFMT_FLAG_BITEXACT;
        fault = open_encoder(writer, codec, options, &error);
    }
    if (fault == CTV_OK)
        fault = open_file(writer, path, options, &error);
    if (fault != CTV_OK)
    {
        ctv_writer_free(writer);
        return fault;
    }
    *result = writer;
    return CTV_OK;
}

// A frame, or NULL to drain the encoder.
static int32_t encode(ctv_writer *writer, const AVFrame *frame, const struct ctv_error *error)
{
    int code = avcodec_send_frame(writer->codec, frame);
    while (code >= 0)
    {
        code = avcodec_receive_packet(writer->codec, writer->packet);
        if (code == AVERROR(EAGAIN) || code == AVERROR_EOF)
            return CTV_OK;
        if (code < 0)
            break;
        writer->packet->stream_index = writer->stream->index;
        if (writer->packet->duration == 0)
            writer->packet->duration = writer->frame_time;
        av_packet_rescale_ts(writer->packet, writer->codec->time_base, writer->stream->time_base);
        code = av_interleaved_write_frame(writer->format, writer->packet);
    }
    return ctv_fail(error, CTV_WRITE_FAILED, "frame %lld: %s", (long long)writer->count, ctv_log_last(code));
}

int32_t ctv_writer_add(ctv_writer *writer, const uint8_t *rgb, int64_t rgb_bytes, double seconds, char *message,
                       int32_t message_bytes)
{
    const struct ctv_error error = {message, message_bytes};
    ctv_fail(&error, CTV_OK, "%s", "");
    if (!writer || writer->finished || !rgb || rgb_bytes != (int64_t)writer->width * writer->height * 3 ||
        (writer->has_times && !(seconds >= 0 && seconds < 1e9)))
        return ctv_fail(&error, CTV_INVALID_ARGUMENT, "the writer is closed or the picture has the wrong size");
    ctv_log_begin();
    int64_t time = writer->has_times ? llrint(seconds / av_q2d(writer->codec->time_base)) : writer->count;
    if (writer->count > 0 && time <= writer->last_time)
        return CTV_OK;
    // The last frame is shown as long as the one before it.
    if (writer->has_times && writer->count > 0)
        writer->frame_time = time - writer->last_time;
    writer->last_time = time;
    if (av_frame_make_writable(writer->frame) < 0)
        return ctv_fail(&error, CTV_OUT_OF_MEMORY, "no memory for a picture");
    av_image_copy_plane(writer->rgb->data[0], writer->rgb->linesize[0], rgb, writer->width * 3, writer->width * 3,
                        writer->height);
    sws_scale(writer->sws, (const uint8_t *const *)writer->rgb->data, writer->rgb->linesize, 0, writer->height,
              writer->frame->data, writer->frame->linesize);
    writer->frame->pts = time;
    writer->frame->quality = writer->codec->global_quality;
    int32_t fault = encode(writer, writer->frame, &error);
    writer->count++;
    return fault;
}

int32_t ctv_writer_finish(ctv_writer *writer, char *message, int32_t message_bytes)
{
    const struct ctv_error error = {message, message_bytes};
    ctv_fail(&error, CTV_OK, "%s", "");
    if (!writer || writer->finished)
        return ctv_fail(&error, CTV_INVALID_ARGUMENT, "the writer is closed");
    ctv_log_begin();
    writer->finished = true;
    int32_t fault = encode(writer, NULL, &error);
    int code = av_write_trailer(writer->format);
    int close_code = avio_closep(&writer->format->pb);
    code = code < 0 ? code : close_code;
    return fault == CTV_OK && code < 0 ? ctv_fail(&error, CTV_WRITE_FAILED, "%s", ctv_log_last(code)) : fault;
}

void ctv_writer_free(ctv_writer *writer)
{
    if (!writer)
        return;
    if (writer->format)
        avio_closep(&writer->format->pb);
    avformat_free_context(writer->format);
    avcodec_free_context(&writer->codec);
    sws_freeContext(writer->sws);
    av_frame_free(&writer->rgb);
    av_frame_free(&writer->frame);
    av_packet_free(&writer->packet);
    av_free(writer);
}
