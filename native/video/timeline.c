// When each frame is shown: its presentation time stamp, counted from the first frame. The rate that a container claims is
// never time: it only stands in where there are no stamps at all. A stamp that cannot be true (none, one that does not
// advance, a jump) leaves its frame one step after the one before; the next stamp then either goes on from before the odd one,
// which was a slip, or from it: the clock of the recording began anew (joined files, a wrap), and time goes on.
#include "internal.h"

#include <libavutil/avutil.h>
#include <math.h>

static const double longest_gap = 3600, longest_gap_of_a_broadcast = 10, longest_frame = 10;
static const double shortest_frame = 1.0 / 240, usual_frame = 1.0 / 25;

static double own_duration(const AVStream *video, const AVFrame *frame)
{
#if LIBAVUTIL_VERSION_INT >= AV_VERSION_INT(57, 30, 100)
    int64_t ticks = frame->duration;
#else
    int64_t ticks = frame->pkt_duration;
#endif
    double seconds = (double)ticks * av_q2d(video->time_base);
    return seconds >= shortest_frame && seconds <= longest_frame ? seconds : 0;
}

// From one frame to the next where stamps do not say: as before, as the frame says, as the container claims.
static double likely_step(const struct ctv_timeline *timeline, AVRational rate)
{
    if (timeline->step > 0)
        return timeline->step;
    if (timeline->last_duration > 0)
        return timeline->last_duration;
    double claimed = rate.num > 0 && rate.den > 0 ? (double)rate.den / rate.num : 0;
    return claimed >= shortest_frame && claimed <= longest_frame ? claimed : usual_frame;
}

static void trust(struct ctv_timeline *timeline, double stamp, double seconds)
{
    bool follows = timeline->stamp_seconds == timeline->seconds && !timeline->doubted;
    timeline->latest_step = follows ? stamp - timeline->stamp : fmax(0, seconds - timeline->seconds);
    // Stamps of cameras jitter: the mean of about the latest four.
    if (timeline->latest_step > 0)
        timeline->step += timeline->step > 0 ? (timeline->latest_step - timeline->step) / 4 : timeline->latest_step;
    timeline->stamp = stamp;
    timeline->stamp_seconds = timeline->seconds = fmax(timeline->seconds, seconds);
    timeline->doubted = false;
}

void ctv_timeline_add(struct ctv_timeline *timeline, AVFormatContext *format, AVStream *video, const AVFrame *frame)
{
    int64_t time = frame->best_effort_timestamp;
    bool has_stamp = time != AV_NOPTS_VALUE;
    double stamp = has_stamp ? (double)time * av_q2d(video->time_base) : 0;
    double previous = timeline->seconds;
    timeline->latest_step = 0;
    timeline->last_duration = own_duration(video, frame);
    double step = likely_step(timeline, av_guess_frame_rate(format, video, NULL));
    double limit = format->iformat->flags & AVFMT_TS_DISCONT ? longest_gap_of_a_broadcast : longest_gap;
    double follows = timeline->stamp_seconds + (stamp - timeline->stamp);
    if (timeline->frames == 0)
    {
        timeline->has_stamp = has_stamp;
        timeline->stamp = stamp;
    }
    else if (has_stamp && !timeline->has_stamp)
    {
        timeline->seconds += timeline->latest_step = step;
        timeline->has_stamp = true;
        timeline->stamp = stamp;
        timeline->stamp_seconds = timeline->seconds;
    }
    else if (has_stamp && stamp > timeline->stamp && follows >= previous - step && follows - previous <= limit)
        trust(timeline, stamp, follows);
    else if (has_stamp && timeline->doubted && stamp > timeline->doubted_stamp && stamp - timeline->doubted_stamp <= limit)
        trust(timeline, stamp, timeline->doubted_seconds + (stamp - timeline->doubted_stamp));
    else
    {
        timeline->seconds += timeline->latest_step = step;
        timeline->doubted = has_stamp;
        timeline->doubted_stamp = stamp;
        timeline->doubted_seconds = timeline->seconds;
    }
    timeline->end = timeline->seconds + (timeline->last_duration > 0 ? timeline->last_duration : step);
    timeline->frames++;
}

double ctv_timeline_rate(const struct ctv_timeline *timeline, AVRational claimed)
{
    double says = claimed.num > 0 && claimed.den > 0 ? av_q2d(claimed) : 0;
    double measured = timeline->end > 0 ? (double)timeline->frames / timeline->end : 0;
    if (measured == 0 || fabs(measured - says) <= 0.005 * measured)
        return says;
    return round(measured * 1000) / 1000;
}
