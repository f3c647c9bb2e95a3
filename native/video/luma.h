// How the motion features hang on a decoder.
#ifndef CUDATRAINER_VIDEO_LUMA_H
#define CUDATRAINER_VIDEO_LUMA_H

#include "internal.h"
#include "motion.h"

struct ctv_luma
{
    struct SwsContext *sws;
    int from_width, from_height, format, space, range;
    int width, height, stride; // of `grey`
    uint8_t *grey;
};

// Shows the motion features the frame that the stream has just decoded; most frames cost nothing.
int32_t ctv_luma_watch(struct ctv_luma *luma, struct ctv_motion *motion, const struct ctv_stream *stream, const AVFrame *frame,
                       const struct ctv_error *error);
void ctv_luma_close(struct ctv_luma *luma);

#endif
