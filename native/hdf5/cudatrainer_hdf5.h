/*
 * Reads HDF5 files for CudaTrainer, behind a plain C interface.
 *
 * A file is opened by a child process only, which sends what it finds through a pipe: libhdf5 has a long history of files that
 * crash it, and a limit on memory and time can be set on a process.
 *
 * One call at a time opens; what was opened is read independently. Texts are UTF-8. Functions that can fail return 0, or -1 with a
 * reason in `message`.
 */
#ifndef CUDATRAINER_HDF5_H
#define CUDATRAINER_HDF5_H

#include <stdint.h>

#define CTH_ABI 1
#define CTH_MESSAGE_BYTES 1024

#if defined(__GNUC__)
#define CTH_API __attribute__((visibility("default")))
#else
#define CTH_API
#endif

/* What a child sends. */
typedef struct cth_stream cth_stream;

CTH_API int cth_abi(void);

/* Such as "HDF5 1.10.8". */
CTH_API void cth_version(char *text, int text_bytes);

/*
 * Everything in a file but its numbers, as records; integers are little-endian, a text is u32 bytes and the bytes:
 *   'G' path                                a group
 *   'L' path                                a soft or external link, which is never followed
 *   'A' path name u32 count, texts          an attribute of texts; an empty attribute of any type counts as one without texts
 *   'D' path u8 type, u8 rank, i64 dims…, i64 offset
 *       type: 0 none of these, 1 float16, 2 float32, 3 float64, all IEEE 754
 *       offset: where the elements lie in the file, contiguous and little-endian; -1 cth_open_data reads them; -2 they lie in
 *       other files, by CTH_MAX_CHUNK_BYTES too large in one piece, or behind an unknown filter: not readable
 * Paths begin with '/'. Groups come before what they hold.
 */
CTH_API int cth_open_index(const char *path, cth_stream **stream, char *message, int message_bytes);

/* The elements of a dataset as native floats, row-major. */
CTH_API int cth_open_data(const char *path, const char *dataset, cth_stream **stream, char *message, int message_bytes);

/* The next 1 to `bytes` bytes; 0 at the end, -1 when the child failed or died. */
CTH_API int64_t cth_next(cth_stream *stream, void *destination, int64_t bytes, char *message, int message_bytes);

CTH_API void cth_close_stream(cth_stream *stream);

#endif
