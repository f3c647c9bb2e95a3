// Preloaded, holds threads up at their hand-overs: before every wake-up and after every wait a thread sleeps now and then, for up to
// DELAY_US microseconds (200), drawn from DELAY_SEED.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

static unsigned most = 200;
static uint64_t seed = 1;

__attribute__((constructor)) static void begin(void)
{
    if (getenv("DELAY_US"))
        most = (unsigned)atoi(getenv("DELAY_US"));
    if (getenv("DELAY_SEED"))
        seed = strtoull(getenv("DELAY_SEED"), NULL, 10);
}

static void hold_up(void)
{
    static _Thread_local uint64_t state;
    if (state == 0)
        state = seed * 0x9E3779B97F4A7C15u ^ (uint64_t)(uintptr_t)&state;
    state = state * 6364136223846793005u + 1442695040888963407u;
    uint64_t draw = state >> 33;
    if (draw % 4 == 0)
        usleep((useconds_t)(draw / 4 % most));
}

#define REAL(name) ((typeof(&name))dlsym(RTLD_NEXT, #name))
#define AROUND(name, parameters, arguments) \
    int name parameters                     \
    {                                       \
        hold_up();                          \
        int result = REAL(name) arguments;  \
        hold_up();                          \
        return result;                      \
    }
AROUND(pthread_cond_signal, (pthread_cond_t * condition), (condition))
AROUND(pthread_cond_broadcast, (pthread_cond_t * condition), (condition))
AROUND(pthread_cond_wait, (pthread_cond_t * condition, pthread_mutex_t *mutex), (condition, mutex))
AROUND(sem_post, (sem_t * semaphore), (semaphore))
AROUND(sched_yield, (void), ())
