#include "cudatrainer_mpi.h"

#include <mpi.h>
#include <stdio.h>

// A slot is free while its request is MPI_REQUEST_NULL, which is not a constant in every MPI.
static MPI_Request requests[CTM_REQUESTS];
static int is_receive[CTM_REQUESTS];

static void copy_text(char *text, int32_t text_bytes, const char *from)
{
    if (text && text_bytes > 0)
        snprintf(text, (size_t)text_bytes, "%s", from);
}

int32_t ctm_abi(void)
{
    return CTM_ABI;
}

void ctm_library_version(char *text, int32_t text_bytes)
{
    char version[MPI_MAX_LIBRARY_VERSION_STRING];
    int length = 0;
    version[0] = '\0';
    MPI_Get_library_version(version, &length);
    copy_text(text, text_bytes, version);
}

static int local_rank_of(int32_t *local_rank)
{
    MPI_Comm node;
    int rank = 0, code = MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &node);
    if (code != MPI_SUCCESS)
        return code;
    MPI_Comm_rank(node, &rank);
    *local_rank = rank;
    return MPI_Comm_free(&node);
}

int32_t ctm_init(int32_t *rank, int32_t *size, int32_t *local_rank, int32_t *thread_level)
{
    int initialized = 0, provided = MPI_THREAD_SINGLE, value = 0;
    MPI_Initialized(&initialized);
    if (initialized)
        return CTM_USED_BEFORE;
    int code = MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &provided);
    if (code != MPI_SUCCESS)
        return code;
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    // Errors that belong to no communicator go to MPI_COMM_SELF in newer versions of the standard.
    MPI_Comm_set_errhandler(MPI_COMM_SELF, MPI_ERRORS_RETURN);
    for (int slot = 0; slot < CTM_REQUESTS; slot++)
        requests[slot] = MPI_REQUEST_NULL;
    *thread_level = provided == MPI_THREAD_SINGLE       ? 0
                    : provided == MPI_THREAD_FUNNELED   ? 1
                    : provided == MPI_THREAD_SERIALIZED ? 2
                                                        : 3;
    code = MPI_Comm_rank(MPI_COMM_WORLD, &value);
    if (code != MPI_SUCCESS)
        return code;
    *rank = value;
    code = MPI_Comm_size(MPI_COMM_WORLD, &value);
    if (code != MPI_SUCCESS)
        return code;
    *size = value;
    return local_rank_of(local_rank);
}

int32_t ctm_finalize(void)
{
    return MPI_Finalize();
}

void ctm_abort(int32_t code)
{
    MPI_Abort(MPI_COMM_WORLD, code);
}

static int free_slot(int64_t bytes, int32_t *request)
{
    if (bytes < 0 || bytes > INT32_MAX)
        return CTM_INVALID_SIZE;
    for (int slot = 0; slot < CTM_REQUESTS; slot++)
    {
        if (requests[slot] == MPI_REQUEST_NULL)
        {
            *request = slot;
            return CTM_OK;
        }
    }
    return CTM_NO_FREE_REQUEST;
}

static int is_valid(int32_t request)
{
    return request >= 0 && request < CTM_REQUESTS && requests[request] != MPI_REQUEST_NULL;
}

int32_t ctm_isend(const void *data, int64_t bytes, int32_t to, int32_t tag, int32_t *request)
{
    int code = free_slot(bytes, request);
    if (code != CTM_OK)
        return code;
    is_receive[*request] = 0;
    code = MPI_Isend(data, (int)bytes, MPI_BYTE, to, tag, MPI_COMM_WORLD, &requests[*request]);
    if (code != MPI_SUCCESS)
        requests[*request] = MPI_REQUEST_NULL;
    return code;
}

int32_t ctm_irecv(void *data, int64_t bytes, int32_t from, int32_t tag, int32_t *request)
{
    int code = free_slot(bytes, request);
    if (code != CTM_OK)
        return code;
    is_receive[*request] = 1;
    code = MPI_Irecv(data, (int)bytes, MPI_BYTE, from, tag, MPI_COMM_WORLD, &requests[*request]);
    if (code != MPI_SUCCESS)
        requests[*request] = MPI_REQUEST_NULL;
    return code;
}

int32_t ctm_test(int32_t request, int32_t *done, int64_t *received)
{
    if (!is_valid(request))
        return CTM_NO_SUCH_REQUEST;
    MPI_Status status;
    int flag = 0, count = 0;
    int code = MPI_Test(&requests[request], &flag, &status);
    *done = flag;
    *received = 0;
    if (code != MPI_SUCCESS)
    {
        requests[request] = MPI_REQUEST_NULL;
        return code;
    }
    // What a completed send leaves as its count is undefined.
    if (flag && is_receive[request])
    {
        code = MPI_Get_count(&status, MPI_BYTE, &count);
        *received = count;
    }
    return code;
}

int32_t ctm_forget(int32_t request)
{
    if (!is_valid(request))
        return CTM_NO_SUCH_REQUEST;
    // The standard has deprecated the cancelling of sends, and MPI libraries may wait for the receiver in it.
    if (is_receive[request])
        MPI_Cancel(&requests[request]);
    int code = MPI_Request_free(&requests[request]);
    requests[request] = MPI_REQUEST_NULL;
    return code;
}

void ctm_error(int32_t code, char *text, int32_t text_bytes)
{
    switch (code)
    {
    case CTM_NO_FREE_REQUEST:
        copy_text(text, text_bytes, "too many messages are under way");
        return;
    case CTM_NO_SUCH_REQUEST:
        copy_text(text, text_bytes, "no such request");
        return;
    case CTM_INVALID_SIZE:
        copy_text(text, text_bytes, "the size of a message must be 0 to 2147483647 bytes");
        return;
    case CTM_USED_BEFORE:
        copy_text(text, text_bytes, "MPI has been initialised before in this process");
        return;
    default:
        break;
    }
    char message[MPI_MAX_ERROR_STRING];
    int length = 0;
    message[0] = '\0';
    if (MPI_Error_string(code, message, &length) != MPI_SUCCESS)
        snprintf(message, sizeof message, "error %d", code);
    copy_text(text, text_bytes, message);
}
