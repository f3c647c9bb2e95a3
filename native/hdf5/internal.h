#ifndef CUDATRAINER_HDF5_INTERNAL_H
#define CUDATRAINER_HDF5_INTERNAL_H

#include "cudatrainer_hdf5.h"

#include <hdf5.h>
#include <stddef.h>

#define CTH_MAX_DEPTH 16
#define CTH_MAX_OBJECTS 20000
#define CTH_MAX_ATTRIBUTES 40000
#define CTH_MAX_NAME_BYTES 1024
#define CTH_MAX_PATH_BYTES 4096
#define CTH_MAX_TEXTS 65536
#define CTH_MAX_ATTRIBUTE_BYTES (8 << 20)
#define CTH_MAX_INDEX_BYTES (64 << 20)
#define CTH_MAX_RANK 8
#define CTH_MAX_CHUNK_BYTES (512LL << 20)
#define CTH_INDEX_SECONDS 5
#define CTH_DATA_SECONDS 180 /* compressed weights of a VGG19 take some ten */

enum { CTH_UNKNOWN = 0, CTH_FLOAT16 = 1, CTH_FLOAT32 = 2, CTH_FLOAT64 = 3 };
enum { CTH_READ_DATA = -1, CTH_NOT_READABLE = -2 };

/* In a child: sends bytes to the parent; ends the child when the parent is gone. */
void cth_send(const void *bytes, size_t count);

/* In a child: says why it failed, and ends it. The format is printf's. */
_Noreturn void cth_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* In a child: what libhdf5 said last, innermost first; "no reason given" if nothing. */
const char *cth_reason(void);

/* Makes libhdf5 silent and keeps it from loading plugins; before every other call. */
void cth_quiet(void);

/* In a child: opens a file for reading, and nothing but it. */
hid_t cth_open_file(const char *path);

/* Runs `body` in a child that may take so many seconds of a processor. */
int cth_start(
    void (*body)(const char *path, const char *dataset), const char *path, const char *dataset, int seconds, cth_stream **stream,
    char *message, int message_bytes);

void cth_say(char *message, int message_bytes, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Kind of a dataset's elements, and whether the file holds them in little-endian order. */
int cth_element_type(hid_t dataset, int *little_endian);

/* Whether libhdf5 can and may read a dataset: its own file, known filters, chunks of a sane size. */
int cth_readable(hid_t dataset);

#endif
