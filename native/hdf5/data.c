/* The elements of a dataset, for layouts that cannot be read from the file as they are. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

#define BLOCK_BYTES (4LL << 20)
#define LARGEST_BLOCK_BYTES (256LL << 20)
#define CHUNK_CACHE_BYTES (64 << 20)
#define CHUNK_CACHE_SLOTS 12421

/* Every part of the path must be a hard link. */
static void check_links(hid_t file, const char *dataset)
{
    char part[CTH_MAX_PATH_BYTES];
    size_t length = strlen(dataset);
    if (length == 0 || length >= sizeof part || dataset[0] != '/')
        cth_fail("'%.80s' is no path of a dataset", dataset);
    for (size_t end = 1; end <= length; end++) {
        if (dataset[end] != '/' && dataset[end] != 0)
            continue;
        memcpy(part, dataset, end);
        part[end] = 0;
        H5L_info_t link;
        if (H5Lget_info(file, part, &link, H5P_DEFAULT) < 0)
            cth_fail("%s", cth_reason());
        if (link.type != H5L_TYPE_HARD)
            cth_fail("'%s' is a link", part);
    }
}

/* Rows of a block: some megabytes, and whole chunks, since each is unpacked anew for every block that it lies in. */
static hsize_t block_rows(hid_t dataset, int rank, const hsize_t *dims, unsigned long long row_bytes)
{
    hsize_t rows = (hsize_t)(BLOCK_BYTES / row_bytes);
    if (rows == 0)
        rows = 1;
    hid_t creation = H5Dget_create_plist(dataset);
    hsize_t chunk[CTH_MAX_RANK];
    if (H5Pget_layout(creation) == H5D_CHUNKED && H5Pget_chunk(creation, CTH_MAX_RANK, chunk) == rank) {
        hsize_t whole = (rows + chunk[0] - 1) / chunk[0] * chunk[0];
        if (whole > dims[0])
            whole = dims[0];
        if (whole * row_bytes <= (unsigned long long)LARGEST_BLOCK_BYTES)
            rows = whole;
    }
    H5Pclose(creation);
    return rows < dims[0] ? rows : dims[0];
}

static void send_data(const char *path, const char *name)
{
    hid_t file = cth_open_file(path);
    check_links(file, name);
    hid_t access = H5Pcreate(H5P_DATASET_ACCESS);
    H5Pset_chunk_cache(access, CHUNK_CACHE_SLOTS, CHUNK_CACHE_BYTES, 1);
    hid_t dataset = H5Dopen2(file, name, access);
    if (dataset < 0)
        cth_fail("%s", cth_reason());
    int little_endian;
    if (cth_element_type(dataset, &little_endian) == CTH_UNKNOWN || !cth_readable(dataset))
        cth_fail("'%s' is not readable", name);

    hid_t space = H5Dget_space(dataset);
    hsize_t dims[CTH_MAX_RANK] = {1};
    int rank = H5Sget_simple_extent_ndims(space);
    if (rank < 0 || rank > CTH_MAX_RANK || H5Sget_simple_extent_dims(space, dims, NULL) < 0)
        cth_fail("'%s' has no usable shape", name);

    unsigned long long row_bytes = sizeof(float);
    int empty = rank > 0 && dims[0] == 0;
    for (int i = 1; i < rank; i++) {
        empty |= dims[i] == 0;
        if (!empty && dims[i] > (hsize_t)LARGEST_BLOCK_BYTES / row_bytes)
            cth_fail("a row of '%s' takes more than %lld bytes", name, LARGEST_BLOCK_BYTES);
        row_bytes *= dims[i];
    }
    if (empty)
        return;

    hsize_t rows = rank == 0 ? 1 : block_rows(dataset, rank, dims, row_bytes);
    float *block = malloc((size_t)(rows * row_bytes));
    if (!block)
        cth_fail("there is not enough memory to read '%s'", name);
    hsize_t start[CTH_MAX_RANK] = {0}, count[CTH_MAX_RANK];
    memcpy(count, dims, sizeof count);
    for (hsize_t first = 0; first < dims[0]; first += rows) {
        hid_t memory = H5S_ALL, selected = H5S_ALL;
        count[0] = dims[0] - first < rows ? dims[0] - first : rows;
        if (rank > 0) {
            start[0] = first;
            selected = space;
            memory = H5Screate_simple(rank, count, NULL);
            if (memory < 0 || H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, count, NULL) < 0)
                cth_fail("%s", cth_reason());
        }
        if (H5Dread(dataset, H5T_NATIVE_FLOAT, memory, selected, H5P_DEFAULT, block) < 0)
            cth_fail("'%s': %s", name, cth_reason());
        cth_send(block, (size_t)(count[0] * row_bytes));
        if (rank > 0)
            H5Sclose(memory);
    }
}

int cth_open_data(const char *path, const char *dataset, cth_stream **stream, char *message, int message_bytes)
{
    return cth_start(send_data, path, dataset, CTH_DATA_SECONDS, stream, message, message_bytes);
}
