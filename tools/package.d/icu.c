// ICU's data, empty: names of languages, rules for sorting and the like, 34 MB that Foundation's
// static library would bring into the program, which has no use for them. Functions that need data
// fail; what only compares or trims text needs none. The layout is the header that every data file
// of ICU has (struct DataHeader and UDataInfo in ICU's ucmndata.h, udata.h).
#include <stdint.h>

const struct {
    uint16_t header_byte_count;
    uint8_t magic[2];
    uint16_t info_byte_count, reserved;
    uint8_t is_big_endian, charset_family, character_byte_count, reserved_byte;
    uint8_t format[4], format_version[4], data_version[4];
    uint8_t padding[8];
    // No entries in the table of contents.
    uint32_t count, reserved_count;
} ICU_DATA __attribute__((aligned(16), visibility("hidden"))) = {
    .header_byte_count = 32,
    .magic = {0xDA, 0x27},
    .info_byte_count = 20,
    .is_big_endian = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__,
    .character_byte_count = 2,
    .format = {'T', 'o', 'C', 'P'},
    .format_version = {1},
};
