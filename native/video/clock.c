// The wall-clock limit of one call, and the caller's wish to stop it.
#include "internal.h"

#include <time.h>

int64_t ctv_now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

void ctv_clock_start(struct ctv_clock *clock, int32_t limit_ms, const volatile int32_t *stop)
{
    clock->limit_ms = limit_ms;
    clock->deadline = limit_ms > 0 ? ctv_now_ns() + (int64_t)limit_ms * 1000000 : INT64_MAX;
    clock->stop = stop;
    clock->verdict = CTV_OK;
}

int32_t ctv_clock_check(struct ctv_clock *clock)
{
    if (clock->verdict == CTV_OK)
    {
        if (clock->stop && __atomic_load_n(clock->stop, __ATOMIC_RELAXED))
            clock->verdict = CTV_CANCELLED;
        else if (clock->deadline != INT64_MAX && ctv_now_ns() >= clock->deadline)
            clock->verdict = CTV_TIMED_OUT;
    }
    return clock->verdict;
}

int32_t ctv_clock_fail(struct ctv_clock *clock, const struct ctv_error *error, const char *while_doing)
{
    if (clock->verdict == CTV_CANCELLED)
        return ctv_fail(error, CTV_CANCELLED, "stopped by the caller while %s", while_doing);
    return ctv_fail(error, CTV_TIMED_OUT, "the limit of %.3f s was reached while %s", clock->limit_ms / 1000.0,
                    while_doing);
}

int ctv_clock_interrupt(void *clock)
{
    return ctv_clock_check(clock) != CTV_OK;
}
