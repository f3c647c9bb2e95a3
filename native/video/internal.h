// What the files of this library share. One file, one concern; each is documented in its .c file.
#ifndef CUDATRAINER_VIDEO_INTERNAL_H
#define CUDATRAINER_VIDEO_INTERNAL_H

#include "cudatrainer_video.h"

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/avstring.h>
#include <libswscale/swscale.h>
#include <stdbool.h>
#include <stddef.h>

// FFmpeg 5.0 made the format descriptions const.
#if LIBAVFORMAT_VERSION_MAJOR < 59
typedef AVInputFormat ctv_input_format;
typedef AVOutputFormat ctv_output_format;
#else
typedef const AVInputFormat ctv_input_format;
typedef const AVOutputFormat ctv_output_format;
#endif

// FFmpeg 6.1 moved a stream's side data (the display matrix is one) to its codec parameters.
#define CTV_SIDE_DATA_IN_CODECPAR (LIBAVCODEC_VERSION_INT >= AV_VERSION_INT(60, 31, 100))

// ---- errors: a fault and the caller's text buffer ----

struct ctv_error
{
    char *text;
    int32_t bytes;
};

// Writes the message and returns `fault`, so that a failing function ends in `return ctv_fail(...)`.
int32_t ctv_fail(const struct ctv_error *error, int32_t fault, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

// Cameras that come and go would leave pieces in as many heaps as the C library makes for threads, and memory would grow for hours: from
// here on threads share a few of them.
void ctv_share_heaps(void);
// Gives what is free in the C library's heaps back to the system.
void ctv_trim(void);

// The text of an AVERROR code, in a buffer of the calling thread.
const char *ctv_averror(int code);

// ---- log.c ----

// From here on this thread's FFmpeg messages are remembered (the last error) instead of printed.
void ctv_log_begin(void);
// The last message since ctv_log_begin, or the text of `code` if there was none.
const char *ctv_log_last(int code);
// How many pictures this thread's decoders have made up so far because the file lacks them.
int64_t ctv_log_inventions(void);
// How often the numbering of a transport stream has broken so far on this thread, in other elementary streams than the watched.
int64_t ctv_log_breaks(void);
void ctv_log_watch(int pid);

// ---- clock.c ----

struct ctv_clock
{
    int64_t deadline; // CLOCK_MONOTONIC nanoseconds, INT64_MAX without a limit
    int32_t limit_ms;
    const volatile int32_t *stop;
    int32_t verdict; // CTV_OK, CTV_TIMED_OUT or CTV_CANCELLED; once set it stays
};

void ctv_clock_start(struct ctv_clock *clock, int32_t limit_ms, const volatile int32_t *stop);
// CTV_OK while there is time.
// Monotonic.
int64_t ctv_now_ns(void);
int32_t ctv_clock_check(struct ctv_clock *clock);
// The same as a failure with its message.
int32_t ctv_clock_fail(struct ctv_clock *clock, const struct ctv_error *error, const char *while_doing);
// For AVIOInterruptCB.
int ctv_clock_interrupt(void *clock);

// ---- source.c ----

struct ctv_source
{
    int fd;
    int64_t size;
    int64_t position;
    int64_t furthest; // highest offset read from or seeked to; beyond `size` when the container points past the end
    int read_errno;
    struct ctv_clock *clock;
};

int32_t ctv_source_open(struct ctv_source *source, const char *path, struct ctv_clock *clock,
                        const struct ctv_error *error);
void ctv_source_close(struct ctv_source *source);
AVIOContext *ctv_source_io(struct ctv_source *source);

// ---- declared_size.c ----

// How many bytes the container's own header says the file has, or 0 when it does not say.
int64_t ctv_declared_size(int fd, int64_t size);

// ---- pictures: RGB, addressed so that turning one moves no pixel ----

// Channel c (R, G, B) of pixel (x, y) is planes[c][x * step_x + y * step_y].
struct ctv_picture
{
    const uint8_t *planes[3];
    ptrdiff_t step_x, step_y;
    int width, height;
};

// ---- orientation.c ----

// How a decoded picture is to be turned for display: transpose first, then mirror.
struct ctv_orientation
{
    bool transpose;
    bool mirror_x;
    bool mirror_y;
};

struct ctv_orientation ctv_orientation_of(const AVStream *stream, const AVFrame *frame);
void ctv_orient(struct ctv_picture *picture, struct ctv_orientation orientation);
// How large a decoded picture is shown: pixels that are no squares make it wider or narrower, then it is turned.
void ctv_displayed_size(AVFormatContext *format, AVStream *stream, const AVFrame *frame, int *width, int *height);
// Marks a stream so that players turn it clockwise by 0, 90, 180 or 270 degrees.
int ctv_orientation_mark(AVStream *stream, int clockwise_degrees);

// ---- resize.c ----

// To packed RGB24.
int32_t ctv_resize_picture(const struct ctv_picture *picture, uint8_t *target, int width, int height);

// ---- timeline.c ----

struct ctv_timeline
{
    int64_t frames;
    double seconds;       // of the latest frame, from the first
    double latest_step;   // since the frame before; 0 for the first
    double end;           // when the latest frame goes
    double step;          // that is usual between two stamps
    double last_duration; // of the latest frame, as it says; 0 when it does not
    bool has_stamp;
    double stamp, stamp_seconds; // the latest stamp that was believed, and when its frame is shown
    bool doubted;                // the latest frame had one that was not
    double doubted_stamp, doubted_seconds;
};

void ctv_timeline_add(struct ctv_timeline *timeline, AVFormatContext *format, AVStream *video, const AVFrame *frame);
// Frames per second: the mean, or what the container claims where that agrees.
double ctv_timeline_rate(const struct ctv_timeline *timeline, AVRational claimed);

// ---- stream.c ----

struct ctv_live_clock
{
    int64_t began;        // when the first packet came, monotonic nanoseconds
    bool has_begun;
    double first;         // its time stamp
    double least[2];      // delay in the minute before this one, and in this one
    double minute;        // when this minute began, in seconds since the first packet
    bool passing;         // until the next keyframe
    bool is_stamped;      // by when packets come
    int64_t counted_from; // of the second in which time asleep is counted, monotonic nanoseconds
    int64_t asleep;       // in it so far, while packets were read
    bool is_even;         // with the sender: what there was of the stream has been read
};

// What a segmented stream reads of its playlists, which FFmpeg holds whole in memory however long they are.
struct ctv_playlist
{
    AVIOContext *io;      // of the one that was opened last; NULL: closed again
    int64_t before;       // bytes of it when the packet of now was asked for
    bool is_endless;      // more came than any playlist has
    int (*open)(AVFormatContext *, AVIOContext **, const char *, int, AVDictionary **);
    int (*close)(AVFormatContext *, AVIOContext *);
};

struct ctv_stream
{
    struct ctv_source *source;
    struct ctv_clock *clock;
    const struct ctv_error *error;
    ctv_live *live;       // NULL: a file
    struct ctv_live_clock pace;
    struct ctv_playlist playlist;
    AVIOContext *io;      // of a file
    AVFormatContext *format;
    AVStream *video;
    AVCodecContext *codec;
    AVPacket *packet;
    AVFrame *frame;
    int64_t decoded;      // frames out of the decoder so far
    struct ctv_timeline timeline;
    int64_t errors;       // damaged packets and frames
    bool truncated;       // a packet, or the index, reaches beyond the end of the file
    int interrupted;      // packets since the one marked at a broadcast's break, from 1; 0 without one
    bool is_joined;       // at that break the whole broadcast begins anew
    int64_t breaks;       // of its other elementary streams before it
    bool was_key;         // the latest packet
    int64_t was_at;       // its decoding time stamp
    bool has_head;        // a keyframe has been there
    int64_t headless;     // packets before it
    int64_t inventions;   // of this thread's decoders at the latest frame
    int64_t first_error_frame;
    double first_error_seconds;
    char first_error[256];
};

#define CTV_ENOUGH (-1) // a sink returns it to end decoding

// Gets every decoded frame in order; it may take a reference. Anything but CTV_OK and CTV_ENOUGH is a failure.
typedef int32_t ctv_frame_sink(void *state, const AVFrame *frame, int64_t index);

int32_t ctv_stream_open(struct ctv_stream *stream, struct ctv_source *source, const struct ctv_error *error);
// The same for live video; an address takes the place of the source's file.
int32_t ctv_stream_open_live(struct ctv_stream *stream, struct ctv_source *source, const char *address, ctv_live *live,
                             const struct ctv_error *error);
int32_t ctv_stream_decode(struct ctv_stream *stream, ctv_frame_sink *sink, void *state);
void ctv_stream_close(struct ctv_stream *stream);
// What the stream says of itself; before the first frame, since a frame knows its size better.
void ctv_stream_describe(const struct ctv_stream *stream, ctv_info *info);
// What decoding showed.
void ctv_stream_measure(const struct ctv_stream *stream, ctv_info *info);
// After decoding: CTV_OK for a sound stream, or if some frames decoded and damage is tolerated.
int32_t ctv_stream_judge(const struct ctv_stream *stream, bool tolerate_damage);

// ---- live.c ----

// Opens an address, device or pipe as stream->format.
int32_t ctv_live_open(struct ctv_stream *stream, const char *address);
// Once the video stream is known: what comes without time stamps (pictures one after the other, a bare H.264 stream) is shown when it
// comes, at whatever rate; a pipe may be faster or slower than what it carries, so its stream is taken at the rate that it claims.
void ctv_live_begin(struct ctv_stream *stream);
// Waits until the packet is due, if live video is paced, and decides whether it is so late that it is passed over.
bool ctv_live_takes(struct ctv_stream *stream, AVPacket *packet);
// Seconds that what comes now with this time stamp is late.
double ctv_live_delay(struct ctv_stream *stream, double stamp);

// av_read_frame, which notices whether there was anything to wait for.
int ctv_live_read(struct ctv_stream *stream);

// Says that a playlist does not end.
int32_t ctv_live_fail_endless(struct ctv_stream *stream);

// ---- tap.c ----

void ctv_tap_begin(ctv_tap *tap, const AVStream *video);
// `offset` leads from the packet's stamp to seconds of the walk; before the first frame it is a guess.
void ctv_tap_add(ctv_tap *tap, const AVPacket *packet, double offset, bool is_known);

// ---- convert.c ----

struct ctv_converter
{
    struct SwsContext *sws;
    int width, height, format, space, range;
    uint8_t *planes;
    size_t bytes;
};

// The frame at full size; valid until the next call.
int32_t ctv_convert(struct ctv_converter *converter, const AVFrame *frame, struct ctv_picture *picture,
                    const struct ctv_error *error);
void ctv_converter_free(struct ctv_converter *converter);
// Tells a scaler which YUV the frame holds; `to_rgb` is the direction.
void ctv_set_colours(struct SwsContext *sws, int space, int range, bool to_rgb);
// Deprecated "full range" pixel formats (yuvj420p...) as their plain counterparts plus a range.
void ctv_plain_format(int *format, int *range);

// ---- grey.c ----

struct ctv_grey
{
    struct SwsContext *sws;
    int from_width, from_height, format, space, range;
    int width, height, stride; // of `pixels`
    uint8_t *pixels;
};

// Offers the watcher the frame that the stream has just decoded.
int32_t ctv_grey_show(struct ctv_grey *grey, const ctv_watcher *watcher, const struct ctv_stream *stream, const AVFrame *frame,
                      const struct ctv_error *error);
void ctv_grey_close(struct ctv_grey *grey);

#endif
