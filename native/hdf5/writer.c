/* Files of our own. */
#include "internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct cth_writer {
    hid_t file;
    hid_t links;    /* makes groups on the way */
    hid_t datasets; /* contiguous, without time stamps */
};

int cth_abi(void)
{
    return CTH_ABI;
}

void cth_version(char *text, int text_bytes)
{
    unsigned major = 0, minor = 0, release = 0;
    cth_quiet();
    H5get_libversion(&major, &minor, &release);
    snprintf(text, (size_t)text_bytes, "HDF5 %u.%u.%u", major, minor, release);
}

static int failed(char *message, int message_bytes)
{
    cth_say(message, message_bytes, "%s", cth_reason());
    return -1;
}

int cth_create(const char *path, cth_writer **writer, char *message, int message_bytes)
{
    *writer = NULL;
    cth_quiet();
    cth_writer *made = calloc(1, sizeof *made);
    if (!made) {
        cth_say(message, message_bytes, "there is not enough memory");
        return -1;
    }
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
#if H5_VERSION_GE(1, 10, 7)
    /* The caller holds a lock on it. */
    H5Pset_file_locking(access, 0, 1);
#endif
    made->file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, access);
    if (made->file < 0)
        failed(message, message_bytes);
    H5Pclose(access);
    if (made->file < 0) {
        free(made);
        return -1;
    }
    made->links = H5Pcreate(H5P_LINK_CREATE);
    H5Pset_create_intermediate_group(made->links, 1);
    made->datasets = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_obj_track_times(made->datasets, 0);
    *writer = made;
    return 0;
}

int cth_add_group(cth_writer *writer, const char *path, char *message, int message_bytes)
{
    hid_t group = H5Gcreate2(writer->file, path, writer->links, H5P_DEFAULT, H5P_DEFAULT);
    return group < 0 || H5Gclose(group) < 0 ? failed(message, message_bytes) : 0;
}

int cth_add_floats(
    cth_writer *writer, const char *path, int rank, const int64_t *dims, const float *data, char *message, int message_bytes)
{
    hsize_t lengths[CTH_MAX_RANK];
    if (rank < 0 || rank > CTH_MAX_RANK) {
        cth_say(message, message_bytes, "'%s' has %d dimensions, the limit is %d", path, rank, CTH_MAX_RANK);
        return -1;
    }
    for (int i = 0; i < rank; i++)
        lengths[i] = (hsize_t)dims[i];
    hid_t space = H5Screate_simple(rank, lengths, NULL);
    hid_t dataset = space < 0 ? -1 : H5Dcreate2(writer->file, path, H5T_IEEE_F32LE, space, writer->links, writer->datasets, H5P_DEFAULT);
    int result = dataset < 0 || H5Dwrite(dataset, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) < 0 || H5Dclose(dataset) < 0
        ? failed(message, message_bytes)
        : 0;
    if (space >= 0)
        H5Sclose(space);
    return result;
}

static int add_attribute(
    cth_writer *writer, const char *object, const char *name, hid_t type, hid_t space, const void *data, char *message, int message_bytes)
{
    hid_t attribute = H5Acreate_by_name(writer->file, object, name, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    int result = attribute < 0 || (data && H5Awrite(attribute, type, data) < 0) || H5Aclose(attribute) < 0
        ? failed(message, message_bytes)
        : 0;
    H5Sclose(space);
    return result;
}

int cth_add_text(cth_writer *writer, const char *object, const char *name, const char *text, char *message, int message_bytes)
{
    hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, H5T_VARIABLE);
    H5Tset_cset(type, H5T_CSET_UTF8);
    int result = add_attribute(writer, object, name, type, H5Screate(H5S_SCALAR), &text, message, message_bytes);
    H5Tclose(type);
    return result;
}

int cth_add_texts(
    cth_writer *writer, const char *object, const char *name, int count, const char *const *texts, char *message, int message_bytes)
{
    hsize_t length = (hsize_t)count;
    hid_t space = H5Screate_simple(1, &length, NULL);
    if (count == 0)
        return add_attribute(writer, object, name, H5T_IEEE_F64LE, space, NULL, message, message_bytes);

    size_t size = 1;
    for (int i = 0; i < count; i++)
        size = strlen(texts[i]) > size ? strlen(texts[i]) : size;
    char *padded = calloc((size_t)count, size);
    hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, size);
    H5Tset_strpad(type, H5T_STR_NULLPAD);
    for (int i = 0; padded && i < count; i++)
        memcpy(padded + (size_t)i * size, texts[i], strlen(texts[i]));
    int result = add_attribute(writer, object, name, type, space, padded, message, message_bytes);
    H5Tclose(type);
    free(padded);
    return result;
}

int cth_finish(cth_writer *writer, int commit, char *message, int message_bytes)
{
    int result = 0;
    if (commit && H5Fflush(writer->file, H5F_SCOPE_LOCAL) < 0)
        result = failed(message, message_bytes);
    H5Pclose(writer->links);
    H5Pclose(writer->datasets);
    if (H5Fclose(writer->file) < 0 && commit && result == 0)
        result = failed(message, message_bytes);
    free(writer);
    return result;
}
