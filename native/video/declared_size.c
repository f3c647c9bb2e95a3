// A copy that was interrupted usually still opens, plays, and just ends early. The outermost structure of most containers
// states its length, so the loss shows without decoding: ISO media (mp4, mov), RIFF (avi), Matroska (mkv, webm), ASF (wmv).
// MPEG program and transport streams and FLV state no length; a clean cut there cannot be told from a short recording.
#include "internal.h"

#include <libavutil/intreadwrite.h>
#include <string.h>
#include <unistd.h>

static bool read_at(int fd, int64_t offset, uint8_t *bytes, size_t count)
{
    return pread(fd, bytes, count, offset) == (ssize_t)count;
}

static int64_t add_saturated(int64_t position, uint64_t length)
{
    return length > (uint64_t)(INT64_MAX - position) ? INT64_MAX : position + (int64_t)length;
}

static bool is_top_level_box(const uint8_t *type)
{
    static const char known[][5] = {"ftyp", "moov", "mdat", "moof", "free", "skip", "wide", "uuid", "meta", "sidx",
                                    "styp", "mfra", "pdin", "prft", "emsg", "ssix", "pnot", "udta"};
    for (size_t i = 0; i < FF_ARRAY_ELEMS(known); i++)
        if (memcmp(type, known[i], 4) == 0)
            return true;
    return false;
}

// ISO/IEC 14496-12, 4.2: boxes of a 32-bit size and a type; size 1 = 64-bit size follows, 0 = to the end of the file.
static int64_t iso_media(int fd, int64_t size)
{
    enum
    {
        most_boxes = 1000000
    };
    int64_t position = 0;
    for (int box = 0; box < most_boxes && position < size; box++)
    {
        uint8_t header[16];
        if (!read_at(fd, position, header, 8) || !is_top_level_box(header + 4))
            return 0;
        uint64_t length = AV_RB32(header);
        if (length == 0)
            return size;
        if (length == 1)
        {
            if (!read_at(fd, position, header, 16))
                return 0;
            length = AV_RB64(header + 8);
        }
        if (length < 8)
            return 0;
        position = add_saturated(position, length);
    }
    return position;
}

// RIFF chunks, several in OpenDML files. Writers disagree by a few bytes on whether the header and padding count.
static int64_t riff(int fd, int64_t size)
{
    const int64_t slack = 16;
    int64_t position = 0;
    while (position < size)
    {
        uint8_t header[8];
        if (!read_at(fd, position, header, 8) || memcmp(header, "RIFF", 4) != 0)
            return 0;
        uint32_t length = AV_RL32(header + 4);
        if (length == 0 || length >= 0x7FFFFFFF) // never patched by its writer
            return 0;
        position += 8 + (int64_t)length + (length & 1);
    }
    return position > size + slack ? position : size;
}

// An EBML number: the position of the first set bit gives the length; an identifier keeps that bit, a size drops it.
static int ebml_number(const uint8_t *bytes, int available, bool keep_marker, uint64_t *value)
{
    int length = 1;
    for (uint8_t mask = 0x80; length <= 8 && !(bytes[0] & mask); mask >>= 1)
        length++;
    if (length > 8 || length > available)
        return 0;
    *value = keep_marker ? bytes[0] : bytes[0] & (0xFF >> length);
    bool unknown = !keep_marker && *value == (uint64_t)(0xFF >> length);
    for (int i = 1; i < length; i++)
    {
        *value = *value << 8 | bytes[i];
        unknown &= bytes[i] == 0xFF;
    }
    if (unknown)
        *value = UINT64_MAX;
    return length;
}

// RFC 8794: an EBML header, then the Segment that holds everything; a live recording leaves its size unknown.
static int64_t matroska(int fd)
{
    const uint64_t segment = 0x18538067;
    int64_t position = 0;
    for (int element = 0; element < 8; element++)
    {
        uint8_t header[16] = {0};
        ssize_t count = pread(fd, header, sizeof header, position);
        uint64_t identifier, length;
        int identifier_bytes = count > 0 ? ebml_number(header, (int)count, true, &identifier) : 0;
        if (identifier_bytes == 0)
            return 0;
        int length_bytes = ebml_number(header + identifier_bytes, (int)count - identifier_bytes, false, &length);
        if (length_bytes == 0 || length == UINT64_MAX)
            return 0;
        position = add_saturated(position + identifier_bytes + length_bytes, length);
        if (identifier == segment)
            return position;
    }
    return 0;
}

static const uint8_t asf_header[16] = {0x30, 0x26, 0xB2, 0x75, 0x8E, 0x66, 0xCF, 0x11,
                                       0xA6, 0xD9, 0x00, 0xAA, 0x00, 0x62, 0xCE, 0x6C};
static const uint8_t asf_data[16] = {0x36, 0x26, 0xB2, 0x75, 0x8E, 0x66, 0xCF, 0x11,
                                     0xA6, 0xD9, 0x00, 0xAA, 0x00, 0x62, 0xCE, 0x6C};

// A header object and a data object, each a GUID and a 64-bit size; a live stream leaves the data's size 0.
static int64_t asf(int fd, const uint8_t *start)
{
    uint8_t object[24];
    int64_t data_at = add_saturated(0, AV_RL64(start + 16));
    if (!read_at(fd, data_at, object, sizeof object) || memcmp(object, asf_data, sizeof asf_data) != 0)
        return 0;
    uint64_t length = AV_RL64(object + 16);
    return length < 24 ? 0 : add_saturated(data_at, length);
}

int64_t ctv_declared_size(int fd, int64_t size)
{
    uint8_t start[24];
    if (!read_at(fd, 0, start, sizeof start))
        return 0;
    if (memcmp(start, "RIFF", 4) == 0)
        return riff(fd, size);
    if (AV_RB32(start) == 0x1A45DFA3)
        return matroska(fd);
    if (memcmp(start, asf_header, sizeof asf_header) == 0)
        return asf(fd, start);
    if (is_top_level_box(start + 4))
        return iso_media(fd, size);
    return 0;
}
