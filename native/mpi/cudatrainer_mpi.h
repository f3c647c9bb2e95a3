// The plain C interface of libcudatrainer_mpi: messages between the processes that mpirun has started. Handles, constants and
// structures of MPI differ between OpenMPI and MPICH; here they are numbers and pointers, whichever of them it was built with.
//
// One world for each process. Every function is to be called from the thread that called ctm_init (MPI_THREAD_FUNNELED),
// except ctm_abi, ctm_library_version and ctm_error. No function waits for another process but ctm_init and ctm_finalize.
//
// Functions return 0 or an error code of the MPI library, for ctm_error. CudaTrainer.Kernels.Interop.MpiApi declares the same
// functions in C#; CTM_ABI changes whenever one of them does.
#ifndef CUDATRAINER_MPI_H
#define CUDATRAINER_MPI_H

#include <stdint.h>

#define CTM_API __attribute__((visibility("default")))
#define CTM_ABI 1

// Requests that may be under way at a time.
#define CTM_REQUESTS 64

// Errors of this library itself; those of MPI are positive.
enum ctm_fault
{
    CTM_OK = 0,
    CTM_NO_FREE_REQUEST = -1,
    CTM_NO_SUCH_REQUEST = -2,
    CTM_INVALID_SIZE = -3, // negative, or more than INT32_MAX bytes
    CTM_USED_BEFORE = -4   // MPI can be initialised once in a process
};

CTM_API int32_t ctm_abi(void);

// Such as "Open MPI v4.1.4, …"; before ctm_init as well.
CTM_API void ctm_library_version(char *text, int32_t text_bytes);

// Joins the other processes, and waits for them to do the same. thread_level: 0 single, 1 funneled, 2 serialized, 3 multiple.
CTM_API int32_t ctm_init(int32_t *rank, int32_t *size, int32_t *local_rank, int32_t *thread_level);

// Waits for all processes, then takes MPI down.
CTM_API int32_t ctm_finalize(void);

// Ends all processes; does not return.
CTM_API void ctm_abort(int32_t code);

// Begin a message. The memory belongs to MPI until ctm_test says done.
CTM_API int32_t ctm_isend(const void *data, int64_t bytes, int32_t to, int32_t tag, int32_t *request);
CTM_API int32_t ctm_irecv(void *data, int64_t bytes, int32_t from, int32_t tag, int32_t *request);

// Lets messages progress. When done is not 0, or on an error, the request is free again. received: bytes, of a receive only.
CTM_API int32_t ctm_test(int32_t request, int32_t *done, int64_t *received);

// Gives a request up. A receive that has not begun is cancelled; otherwise the memory is MPI's for as long as the process lives.
CTM_API int32_t ctm_forget(int32_t request);

CTM_API void ctm_error(int32_t code, char *text, int32_t text_bytes);

#endif
