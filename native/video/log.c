// FFmpeg explains most failures only in its log. Each thread keeps the last error it caused (decoders run on the calling
// thread, so that is the right one), and nothing is ever printed. Of some pictures only the log tells that the decoder made them
// up, out of grey where the file lacks what they refer to.
#include "internal.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

static _Thread_local char last_message[256];
static _Thread_local int64_t inventions, breaks;
static _Thread_local int watched_pid;
static _Thread_local char code_text[AV_ERROR_MAX_STRING_SIZE];
static pthread_once_t installed = PTHREAD_ONCE_INIT;

// What the decoders say of H.265, H.264 and the MPEG-4 family when they replace a picture that is not there.
static const char *const of_inventions[] = {"Could not find ref with POC", "Missing reference picture",
                                            "first frame is no keyframe"};

// Of a transport stream's demuxer, with the number of the elementary stream.
static const char of_a_break[] = "Continuity check failed for pid %d";

static void remember(void *object, int level, const char *format, va_list arguments)
{
    for (size_t i = 0; level <= AV_LOG_WARNING && i < FF_ARRAY_ELEMS(of_inventions); i++)
        if (strstr(format, of_inventions[i]))
        {
            inventions++;
            level = AV_LOG_ERROR;
        }
    if (strncmp(format, of_a_break, sizeof of_a_break - 1) == 0)
    {
        va_list copy;
        va_copy(copy, arguments);
        breaks += va_arg(copy, int) != watched_pid;
        va_end(copy);
    }
    if (level > AV_LOG_ERROR)
        return;
    char line[sizeof last_message];
    int print_prefix = 1;
    av_log_format_line2(object, level, format, arguments, line, sizeof line, &print_prefix);
    size_t length = strlen(line);
    while (length > 0 && (line[length - 1] == '\n' || line[length - 1] == ' '))
        line[--length] = '\0';
    // "[mov,mp4 @ 0x55d0c0ffee00] text": the address would make equal failures look different.
    char *address = strstr(line, " @ 0x");
    char *bracket = address ? strchr(address, ']') : NULL;
    if (bracket)
        memmove(address, bracket, strlen(bracket) + 1);
    if (length > 0)
        memcpy(last_message, line, sizeof last_message);
}

static void install(void)
{
    av_log_set_callback(remember);
}

void ctv_log_begin(void)
{
    pthread_once(&installed, install);
    last_message[0] = '\0';
}

void ctv_log_watch(int pid)
{
    watched_pid = pid;
}

int64_t ctv_log_breaks(void)
{
    return breaks;
}

int64_t ctv_log_inventions(void)
{
    return inventions;
}

const char *ctv_log_last(int code)
{
    return last_message[0] != '\0' ? last_message : ctv_averror(code);
}

const char *ctv_averror(int code)
{
    if (av_strerror(code, code_text, sizeof code_text) < 0)
        snprintf(code_text, sizeof code_text, "error %d", code);
    return code_text;
}
