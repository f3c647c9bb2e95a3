// The plain C interface of libcudatrainer_video: sampled frames out of any video FFmpeg can decode, and video files out of
// frames. No global state beyond FFmpeg's log callback; every function may be called from several threads at once.
//
// CudaTrainer.Data.Video declares the same structures in C#; CTV_ABI changes whenever one of them does.
#ifndef CUDATRAINER_VIDEO_H
#define CUDATRAINER_VIDEO_H

#include <stdint.h>

#define CTV_API __attribute__((visibility("default")))
#define CTV_ABI 7

// Why a file could not be read or written. The numbers are part of the interface.
enum ctv_fault
{
    CTV_OK = 0,
    CTV_NOT_FOUND = 1,
    CTV_UNREADABLE = 2,         // permission, or the file system failed to deliver the bytes
    CTV_NOT_A_REGULAR_FILE = 3, // directory, FIFO, socket, device
    CTV_EMPTY = 4,              // 0 bytes
    CTV_NOT_A_VIDEO = 5,        // no container known to FFmpeg, a still image, or a header that makes no sense
    CTV_NO_VIDEO_STREAM = 6,    // sound or subtitles only
    CTV_UNSUPPORTED_CODEC = 7,  // this FFmpeg has no decoder (encoder) for it
    CTV_ZERO_FRAMES = 8,        // a video stream out of which no frame decodes
    CTV_TRUNCATED = 9,          // the data end before the container says
    CTV_DECODE_ERROR = 10,      // damaged packets or frames
    CTV_TIMED_OUT = 11,
    CTV_CANCELLED = 12,
    CTV_OUT_OF_MEMORY = 13,
    CTV_INVALID_ARGUMENT = 14,
    CTV_WRITE_FAILED = 15,
    CTV_INTERNAL = 16,
    // 17 is the caller's: no library.
    CTV_REFUSED = 18,     // the other side wants a login, or another one
    CTV_UNREACHABLE = 19  // no answer, no such host, or the other side broke off
};

// A decoded frame, offered as a small grey picture.
typedef struct ctv_glimpse
{
    double seconds;        // when it is shown, from the first frame on; see timeline.c
    double step;           // since the frame before; 0 for the first
    int32_t width, height; // as displayed
    int32_t columns, rows; // of the picture; to be filled in, like `pixels`
    uint8_t *pixels;       // where it goes: luma, 0 to 255, averaged down, row by row
} ctv_glimpse;

// Whoever sees every decoded frame of a video in order, once; called on the reading thread.
typedef struct ctv_watcher
{
    void *state;
    // 0: no picture of this frame, which then costs next to nothing. 1: fill it in. Below 0 ends the reading as CTV_CANCELLED.
    int32_t (*wants)(void *state, ctv_glimpse *glimpse);
    int32_t (*take)(void *state); // The picture is there. Below 0 ends the reading as CTV_CANCELLED.
} ctv_watcher;

typedef struct ctv_read_options
{
    // Which of `total` frames is sample `i` of `frames`; called on the reading thread with 1 <= total <= INT32_MAX.
    int64_t (*index_of)(int64_t total, int32_t frames, int32_t i);
    const volatile int32_t *stop; // becomes non-zero when the caller wants the call back; may be NULL
    int64_t keep_bytes;           // decoded frames held while the total is unknown; beyond it a second pass decodes again
    int32_t frames;               // samples wanted
    int32_t width, height;        // of each sample
    int32_t limit_ms;             // wall clock for the whole call; 0 = none
    int32_t tolerate_damage;      // non-zero: deliver what decodes, count the errors
    int32_t reserved;
    const ctv_watcher *watcher;   // may be NULL
} ctv_read_options;

typedef struct ctv_info
{
    int64_t decoded_frames; // frames that really decode
    int64_t decode_errors;  // damaged packets and frames
    double frame_rate;      // frames per second: the mean by the time stamps, as the container says where that agrees; 0 when unknown
    double duration;        // seconds to the end of the last frame by the time stamps; before the first as the container says, or 0
    int32_t width, height;  // as displayed (shape of the pixels, rotation), before resizing
    int32_t passes;         // 1, or 2 when the kept frames did not include all samples
    char codec[32];
    char container[64];
    double resize_seconds;  // of reading: converting and resizing the samples
} ctv_info;

// One frame of a walk through a video; `rgb` holds until the callback returns.
typedef struct ctv_frame
{
    int64_t index;              // from 0
    double seconds;             // when it is shown, from the first frame on
    const uint8_t *rgb;         // RGB24, height * width * 3; NULL where no picture was asked for
    int32_t width, height;
    int32_t rate_num, rate_den; // frames per second as the container claims, 0/1 when unknown; not for telling the time
    int32_t shown_width, shown_height; // of the video, as displayed
    double late;                // seconds behind the least delayed frame of the last minute or two; of live video only
} ctv_frame;

// Keeps the latest encoded packets of what a walk reads, to be written to a file without being decoded.
typedef struct ctv_tap ctv_tap;

// Packets taken out of a tap.
typedef struct ctv_clip ctv_clip;

typedef struct ctv_clip_info
{
    double start, end;  // of the first frame and the latest, in seconds of the walk
    int64_t bytes;
    char container[8];  // as ctv_tap_container
} ctv_clip_info;

// How a walk reads what does not end, or is to be taken for that.
typedef struct ctv_live
{
    int32_t is_address;     // an address, device or pipe that FFmpeg opens; otherwise a regular file
    int32_t paced;          // no faster than the time stamps
    double late;            // packets that come more than so many seconds late are passed over up to a keyframe; 0 = none
    int32_t open_ms;        // wall clock for opening; 0 = no limit
    volatile int32_t rests; // while it is not 0, frames have no pictures and the watcher is not asked; set by whoever takes frames
    ctv_tap *tap;           // may be NULL
    volatile int64_t passed_over; // packets so far; written by the walk
} ctv_live;

// Gets every frame of a walk in order, on the reading thread. Anything but 0 ends the walk as CTV_CANCELLED.
typedef int32_t (*ctv_frame_callback)(void *state, const ctv_frame *frame);

typedef struct ctv_walk_options
{
    const volatile int32_t *stop; // as in ctv_read_options
    const ctv_watcher *watcher;   // sees a frame before the callback does; may be NULL
    int32_t width, height;        // of each picture; 0 and 0 = as the first frame is displayed
    int32_t limit_ms;             // wall clock between two frames, without the time spent in the callback; 0 = none
    int32_t reserved;
    double picture_every;         // seconds between two pictures; 0 = every frame has one
    double crop[4];               // left, top, width, height of the part that is looked at, from 0 to 1; all 0 = the whole
    ctv_live *live;               // may be NULL: a file
} ctv_walk_options;

typedef struct ctv_write_options
{
    int32_t width, height;
    int32_t frame_rate_num, frame_rate_den;
    int32_t quality;    // 1 (small) to 100 (good)
    int32_t rotation;   // clockwise degrees a player must turn the pictures: 0, 90, 180, 270
    int32_t fast_start; // mp4, mov: index at the front
    int32_t has_times;  // non-zero: each frame has a time of its own, and the rate is that of a container that knows only one
} ctv_write_options;

typedef struct ctv_writer ctv_writer;

CTV_API int32_t ctv_abi(void);

// For instance "FFmpeg 5.1.9 (libavformat 59.27.100, libavcodec 59.37.100)".
CTV_API void ctv_version(char *text, int32_t text_bytes);

// Decodes the best video stream of `path` (UTF-8) and writes options->frames pictures, RGB24, row by row, one after the
// other, to `rgb`, which has rgb_bytes = frames * height * width * 3. Returns a ctv_fault; `message` then says why, without
// naming the file. `info` is filled as far as reading got. With options->watcher, `rgb` may be NULL and rgb_bytes 0: then
// there are no pictures.
CTV_API int32_t ctv_read(const char *path, const ctv_read_options *options, uint8_t *rgb, int64_t rgb_bytes, ctv_info *info,
                         char *message, int32_t message_bytes);

// Decodes the best video stream of `path` once, front to back, and hands every frame to `callback`, so that a video of any
// length takes the memory of one frame. What decodes of a damaged file is delivered; the fault that is returned in the end
// is the one ctv_read would have refused the file with.
CTV_API int32_t ctv_walk(const char *path, const ctv_walk_options *options, ctv_frame_callback callback, void *state,
                         ctv_info *info, char *message, int32_t message_bytes);

// Room for the packets of so many seconds, at most so many bytes; for one walk after another. NULL when there is no memory.
CTV_API ctv_tap *ctv_tap_open(double seconds, int64_t bytes);
// The extension of a container that takes the packets as they are, "mp4" or "mkv"; "" before the first packet.
CTV_API void ctv_tap_container(ctv_tap *tap, char *text, int32_t text_bytes);
// The packets from the last keyframe not after `from` (or the first that is kept) to `to`, both in seconds of the walk that is going
// on; they outlive the tap. On any thread. NULL when nothing of that time is kept, or there is no memory.
CTV_API ctv_clip *ctv_tap_take(ctv_tap *tap, double from, double to, ctv_clip_info *info);
CTV_API void ctv_tap_free(ctv_tap *tap);
// Creates or overwrites a file with the packets as they are; any number of times.
CTV_API int32_t ctv_clip_save(const ctv_clip *clip, const char *path, char *message, int32_t message_bytes);
CTV_API void ctv_clip_free(ctv_clip *clip);

// Bilinear resize of RGB24 pictures, the function every sample goes through; see resize.c.
CTV_API int32_t ctv_resize(const uint8_t *source, int32_t source_width, int32_t source_height, int64_t source_stride,
                           uint8_t *target, int32_t target_width, int32_t target_height);

// Non-zero if a codec (h264, mpeg4, mjpeg, vp8, vp9, ffv1, wmv2, flv1, mpeg2video) can be encoded.
CTV_API int32_t ctv_can_encode(const char *codec);

// `container` is the usual file extension, without a dot; the file at `path` is created or overwritten.
CTV_API int32_t ctv_writer_open(const char *path, const char *container, const char *codec, const ctv_write_options *options,
                                ctv_writer **writer, char *message, int32_t message_bytes);
// One RGB24 picture of width * height * 3 bytes, shown at `seconds` if the writer has times. One that would take the place of
// the picture before it is left out.
CTV_API int32_t ctv_writer_add(ctv_writer *writer, const uint8_t *rgb, int64_t rgb_bytes, double seconds, char *message,
                               int32_t message_bytes);
// Writes what is still buffered and the trailer. The writer remains to be freed.
CTV_API int32_t ctv_writer_finish(ctv_writer *writer, char *message, int32_t message_bytes);
CTV_API void ctv_writer_free(ctv_writer *writer);

#endif
