/* Everything in a file but its numbers. */
#include "internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct walk {
    char path[CTH_MAX_PATH_BYTES]; /* of the object at hand; empty for the root */
    size_t length;
    int depth;
    int objects;
    int attributes;
};

static char *s_buffer;
static size_t s_used;
static size_t s_sent;

static void flush(void)
{
    cth_send(s_buffer, s_used);
    s_used = 0;
}

static void put(const void *bytes, size_t count)
{
    const size_t capacity = 1 << 20;
    if (!s_buffer && !(s_buffer = malloc(capacity)))
        cth_fail("there is not enough memory");
    s_sent += count;
    if (s_sent > CTH_MAX_INDEX_BYTES)
        cth_fail("names and attributes take more than %d bytes", CTH_MAX_INDEX_BYTES);
    if (s_used + count > capacity)
        flush();
    if (count > capacity) {
        cth_send(bytes, count);
        return;
    }
    memcpy(s_buffer + s_used, bytes, count);
    s_used += count;
}

static void put_byte(int value)
{
    unsigned char byte = (unsigned char)value;
    put(&byte, 1);
}

static void put_number(uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        put_byte((int)(value >> (8 * i) & 0xff));
}

static void put_text(const char *text, size_t length)
{
    put_number(length, 4);
    put(text, length);
}

static void put_object(char kind, const struct walk *walk)
{
    put_byte(kind);
    put_text(walk->length == 0 ? "/" : walk->path, walk->length == 0 ? 1 : walk->length);
}

static size_t text_length(const char *text, size_t size, H5T_str_t padding)
{
    size_t length = strnlen(text, size);
    while (padding == H5T_STR_SPACEPAD && length > 0 && text[length - 1] == ' ')
        length--;
    return length;
}

static void put_fixed_texts(hid_t attribute, hid_t type, size_t count)
{
    size_t size = H5Tget_size(type);
    if (size == 0 || size > CTH_MAX_ATTRIBUTE_BYTES / count) {
        put_number(0, 4);
        return;
    }
    char *texts = calloc(count, size);
    if (!texts || H5Aread(attribute, type, texts) < 0)
        cth_fail("an attribute: %s", cth_reason());
    put_number(count, 4);
    for (size_t i = 0; i < count; i++)
        put_text(texts + i * size, text_length(texts + i * size, size, H5Tget_strpad(type)));
    free(texts);
}

static void put_variable_texts(hid_t attribute, hid_t type, hid_t space, size_t count)
{
    hid_t memory = H5Tcopy(H5T_C_S1);
    H5Tset_size(memory, H5T_VARIABLE);
    H5Tset_cset(memory, H5Tget_cset(type));
    char **texts = calloc(count, sizeof *texts);
    if (!texts || H5Aread(attribute, memory, texts) < 0)
        cth_fail("an attribute: %s", cth_reason());
    put_number(count, 4);
    for (size_t i = 0; i < count; i++)
        put_text(texts[i] ? texts[i] : "", texts[i] ? strlen(texts[i]) : 0);
    H5Dvlen_reclaim(memory, space, H5P_DEFAULT, texts);
    free(texts);
    H5Tclose(memory);
}

static herr_t put_attribute(hid_t object, const char *name, const H5A_info_t *info, void *context)
{
    struct walk *walk = context;
    (void)info;
    if (++walk->attributes > CTH_MAX_ATTRIBUTES)
        cth_fail("it has more than %d attributes", CTH_MAX_ATTRIBUTES);
    size_t length = strnlen(name, CTH_MAX_NAME_BYTES + 1);
    if (length > CTH_MAX_NAME_BYTES)
        cth_fail("the name of an attribute takes more than %d bytes", CTH_MAX_NAME_BYTES);
    hid_t attribute = H5Aopen(object, name, H5P_DEFAULT);
    if (attribute < 0)
        cth_fail("attribute '%s': %s", name, cth_reason());
    hid_t type = H5Aget_type(attribute), space = H5Aget_space(attribute);
    if (type < 0 || space < 0)
        cth_fail("attribute '%s': %s", name, cth_reason());

    hssize_t count = H5Sget_simple_extent_type(space) == H5S_NULL ? 0 : H5Sget_simple_extent_npoints(space);
    int is_text = H5Tget_class(type) == H5T_STRING;
    if (count == 0 || (is_text && count > 0 && count <= CTH_MAX_TEXTS)) {
        put_object('A', walk);
        put_text(name, length);
        if (count == 0)
            put_number(0, 4);
        else if (H5Tis_variable_str(type) > 0)
            put_variable_texts(attribute, type, space, (size_t)count);
        else
            put_fixed_texts(attribute, type, (size_t)count);
    } else if (is_text) {
        cth_fail("attribute '%s' has %lld texts, the limit is %d", name, (long long)count, CTH_MAX_TEXTS);
    }
    H5Sclose(space);
    H5Tclose(type);
    H5Aclose(attribute);
    return 0;
}

static void put_attributes(hid_t object, struct walk *walk)
{
    hsize_t from = 0;
    if (H5Aiterate2(object, H5_INDEX_NAME, H5_ITER_INC, &from, put_attribute, walk) < 0)
        cth_fail("attributes of '%s': %s", walk->path, cth_reason());
}

static void put_dataset(hid_t dataset, struct walk *walk)
{
    int little_endian;
    int type = cth_element_type(dataset, &little_endian);
    hid_t space = H5Dget_space(dataset);
    int rank = space < 0 ? -1 : H5Sget_simple_extent_ndims(space);
    if (rank < 0)
        cth_fail("'%s': %s", walk->path, cth_reason());
    hsize_t dims[CTH_MAX_RANK];
    if (rank > CTH_MAX_RANK || H5Sget_simple_extent_dims(space, dims, NULL) < 0) {
        rank = 0;
        type = CTH_UNKNOWN;
    }

    int64_t offset = CTH_NOT_READABLE;
    if (type != CTH_UNKNOWN && H5Sget_simple_extent_type(space) != H5S_NULL && cth_readable(dataset)) {
        hid_t creation = H5Dget_create_plist(dataset);
        haddr_t at = H5Pget_layout(creation) == H5D_CONTIGUOUS && little_endian ? H5Dget_offset(dataset) : HADDR_UNDEF;
        offset = at == HADDR_UNDEF ? CTH_READ_DATA : (int64_t)at;
        H5Pclose(creation);
    }
    put_object('D', walk);
    put_byte(type);
    put_byte(rank);
    for (int i = 0; i < rank; i++)
        put_number(dims[i], 8);
    put_number((uint64_t)offset, 8);
    H5Sclose(space);
}

static herr_t put_link(hid_t group, const char *name, const H5L_info_t *link, void *context);

static void put_group(hid_t group, struct walk *walk)
{
    put_object('G', walk);
    put_attributes(group, walk);
    if (++walk->depth > CTH_MAX_DEPTH)
        cth_fail("its groups are nested more than %d deep", CTH_MAX_DEPTH);
    if (H5Literate(group, H5_INDEX_NAME, H5_ITER_INC, NULL, put_link, walk) < 0)
        cth_fail("group '/%s': %s", walk->path + (walk->length > 0), cth_reason());
    walk->depth--;
}

static herr_t put_link(hid_t group, const char *name, const H5L_info_t *link, void *context)
{
    struct walk *walk = context;
    size_t length = strnlen(name, CTH_MAX_NAME_BYTES + 1);
    if (length > CTH_MAX_NAME_BYTES || walk->length + 1 + length >= sizeof walk->path)
        cth_fail("the name of an object is too long");
    if (++walk->objects > CTH_MAX_OBJECTS)
        cth_fail("it has more than %d groups and datasets", CTH_MAX_OBJECTS);
    size_t before = walk->length;
    walk->path[walk->length] = '/';
    memcpy(walk->path + walk->length + 1, name, length + 1);
    walk->length += 1 + length;

    if (link->type != H5L_TYPE_HARD) {
        put_object('L', walk);
    } else {
        hid_t object = H5Oopen(group, name, H5P_DEFAULT);
        if (object < 0)
            cth_fail("'%s': %s", walk->path, cth_reason());
        H5I_type_t kind = H5Iget_type(object);
        if (kind == H5I_GROUP)
            put_group(object, walk);
        else if (kind == H5I_DATASET)
            put_dataset(object, walk);
        H5Oclose(object);
    }
    walk->length = before;
    walk->path[before] = 0;
    return 0;
}

static void send_index(const char *path, const char *unused)
{
    (void)unused;
    struct walk *walk = calloc(1, sizeof *walk);
    hid_t root = H5Gopen2(cth_open_file(path), "/", H5P_DEFAULT);
    if (!walk || root < 0)
        cth_fail("%s", cth_reason());
    put_group(root, walk);
    flush();
}

int cth_open_index(const char *path, cth_stream **stream, char *message, int message_bytes)
{
    return cth_start(send_index, path, NULL, CTH_INDEX_SECONDS, stream, message, message_bytes);
}
