/* What a dataset is made of. */
#include "internal.h"

static int is_ieee(hid_t type, size_t size, size_t exponent_bits, size_t mantissa_bits, size_t bias)
{
    size_t sign, exponent_at, exponent, mantissa_at, mantissa;
    return H5Tget_size(type) == size && H5Tget_fields(type, &sign, &exponent_at, &exponent, &mantissa_at, &mantissa) >= 0 &&
        sign == size * 8 - 1 && exponent == exponent_bits && exponent_at == mantissa_bits && mantissa == mantissa_bits &&
        mantissa_at == 0 && H5Tget_ebias(type) == bias && H5Tget_norm(type) == H5T_NORM_IMPLIED &&
        H5Tget_precision(type) == size * 8 && H5Tget_offset(type) == 0;
}

int cth_element_type(hid_t dataset, int *little_endian)
{
    int kind = CTH_UNKNOWN;
    hid_t type = H5Dget_type(dataset);
    *little_endian = 0;
    if (type >= 0 && H5Tget_class(type) == H5T_FLOAT) {
        H5T_order_t order = H5Tget_order(type);
        *little_endian = order == H5T_ORDER_LE;
        if (order == H5T_ORDER_LE || order == H5T_ORDER_BE) {
            if (is_ieee(type, 2, 5, 10, 15))
                kind = CTH_FLOAT16;
            else if (is_ieee(type, 4, 8, 23, 127))
                kind = CTH_FLOAT32;
            else if (is_ieee(type, 8, 11, 52, 1023))
                kind = CTH_FLOAT64;
        }
    }
    if (type >= 0)
        H5Tclose(type);
    return kind;
}

static int known_filters(hid_t creation)
{
    int count = H5Pget_nfilters(creation);
    for (int i = 0; i < count; i++) {
        unsigned flags, configuration;
        size_t values = 0;
        H5Z_filter_t filter = H5Pget_filter2(creation, (unsigned)i, &flags, &values, NULL, 0, NULL, &configuration);
        if (filter < 0 || H5Zfilter_avail(filter) <= 0)
            return 0;
    }
    return count >= 0 && count <= 32;
}

static int sane_chunks(hid_t creation, hid_t dataset)
{
    hsize_t dims[CTH_MAX_RANK];
    int rank = H5Pget_chunk(creation, CTH_MAX_RANK, dims);
    hid_t type = H5Dget_type(dataset);
    size_t size = type < 0 ? 0 : H5Tget_size(type);
    if (type >= 0)
        H5Tclose(type);
    if (rank < 1 || rank > CTH_MAX_RANK || size == 0 || size > 8)
        return 0;
    unsigned long long bytes = size;
    for (int i = 0; i < rank; i++) {
        if (dims[i] == 0 || dims[i] > (hsize_t)CTH_MAX_CHUNK_BYTES || (bytes *= dims[i]) > CTH_MAX_CHUNK_BYTES)
            return 0;
    }
    return 1;
}

int cth_readable(hid_t dataset)
{
    hid_t creation = H5Dget_create_plist(dataset);
    if (creation < 0)
        return 0;
    int readable = 0;
    switch (H5Pget_layout(creation)) {
    case H5D_COMPACT:
    case H5D_CONTIGUOUS:
        readable = H5Pget_external_count(creation) == 0;
        break;
    case H5D_CHUNKED:
        readable = known_filters(creation) && sane_chunks(creation, dataset);
        break;
    default: /* virtual: its elements lie in other files */
        break;
    }
    H5Pclose(creation);
    return readable;
}
