// What the files of the motion features share: numbers in planes, nothing of FFmpeg. docs/motion.md has the formulas.
#ifndef CUDATRAINER_VIDEO_MOTION_H
#define CUDATRAINER_VIDEO_MOTION_H

#include "cudatrainer_video.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum
{
    ctv_luma_rows = 112, // of the picture that motion is looked for in; its columns follow the video's aspect ratio
    ctv_field_rows = ctv_luma_rows / 2,
    ctv_least_columns = 32, // of the luma picture
    ctv_most_columns = 448,
    ctv_acceleration_features = 17
};

// ---- fields.c: planes of floats, row by row without gaps. Edges continue outwards with the value of the edge. ----

// Mean over (2 radius + 1)² pixels. `target` may be `source`; `scratch` is a plane too.
void ctv_box(const float *source, float *target, float *scratch, int columns, int rows, int radius);
// Twice the same, nearly Gaussian: standard deviation 2 for radius 2, 4.5 for radius 5.
void ctv_blur(const float *source, float *target, float *scratch, int columns, int rows, int radius);
// Weights 1 2 1 across and down.
void ctv_soften(const float *source, float *target, float *scratch, int columns, int rows);
// Half the difference of the two neighbours.
void ctv_gradient(const float *source, float *across, float *down, int columns, int rows);
// Mean of 2 × 2 pixels; columns / 2 by rows / 2.
void ctv_halve(const float *source, float *target, int columns, int rows);
// source at (x + u, y + v), bilinear.
void ctv_warp(const float *source, const float *u, const float *v, float *target, int columns, int rows);
// The lower median; `scratch` is a plane too.
float ctv_median(const float *source, float *scratch, int count);

// Mean and quantiles of numbers that are not negative.
struct ctv_spread
{
    float mean, q50, q75, q90, q97, q995;
};

// The quantiles are exact to 1/32 of their value between 2^-10 and 2^13; smaller ones are nearly 0.
struct ctv_spread ctv_spread_of(const float *source, int count);

// log(1 + 20 x) for x >= 0, in plain arithmetic: the same bits on every machine.
float ctv_compress(float x);

// ---- flow.c ----

struct ctv_flow
{
    int columns, rows; // of the finest level
    float *memory;
};

// False without memory.
bool ctv_flow_open(struct ctv_flow *flow, int columns, int rows);
void ctv_flow_close(struct ctv_flow *flow);
// Where the pixels of `from` went: to(x + u, y + v) ~ from(x, y), in pixels.
void ctv_flow_between(struct ctv_flow *flow, const float *from, const float *to, float *u, float *v);

// ---- descriptor.c ----

struct ctv_descriptor
{
    int luma_columns, columns;  // rows are ctv_luma_rows and ctv_field_rows
    float pixel_width;          // of the field, in picture heights; its height is 1 / ctv_field_rows
    struct ctv_flow flow;
    float *memory;
    float *u, *v, *speed;       // latest flow in picture heights a second, and its length without the camera's motion
    float *previous_u, *previous_v, *previous_speed;
    bool has_previous;
};

enum ctv_pair
{
    ctv_pair_whole,
    ctv_pair_first, // no acceleration: no flow goes before
    ctv_pair_cut    // two different scenes: nothing was written
};

// `aspect` is width / height of the video as displayed.
bool ctv_descriptor_open(struct ctv_descriptor *descriptor, int luma_columns, double aspect);
void ctv_descriptor_close(struct ctv_descriptor *descriptor);
// The CTV_MOTION_FEATURES of two luma pictures `seconds` apart; those of acceleration come last.
enum ctv_pair ctv_descriptor_of(struct ctv_descriptor *descriptor, const float *from, const float *to, double seconds,
                                float *features);

// ---- motion.c ----

struct ctv_motion
{
    int64_t frames;    // decoded so far
    double stamp;      // of the latest of them, as the container says
    double clock;      // seconds of the latest from the first, without jumps of the time stamps
    int64_t pictures;  // looked at
    double taken;      // clock of the latest of them
    int columns;       // of the pictures
    float *previous, *current;
    struct ctv_descriptor descriptor;
    double *starts, *ends; // of each pair, on the clock
    float *features;       // [pairs, CTV_MOTION_FEATURES]; those of acceleration are NaN in the first pair of a scene
    int64_t pairs, capacity;
    int64_t cuts;          // pairs that were left out
};

// Whether the frame with this time stamp is to be looked at; the others cost nothing. `frame_seconds` is the time from one frame
// to the next where the stamps do not say.
bool ctv_motion_wants(struct ctv_motion *motion, double stamp, double frame_seconds);
// Columns of the luma picture of a video this wide and high.
int ctv_motion_columns(int width, int height);
// Where the wanted frame goes: columns × ctv_luma_rows, 0 to 255. The first decides on the columns. NULL without memory.
float *ctv_motion_room(struct ctv_motion *motion, int width, int height);
// The frame is there. False without memory.
bool ctv_motion_take(struct ctv_motion *motion);
void ctv_motion_close(struct ctv_motion *motion);

#endif
