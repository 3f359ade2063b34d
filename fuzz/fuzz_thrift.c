/* fuzz_thrift: bytes as each of the Thrift structures of a Parquet file. */
#include "format/parquet/meta.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    arena a;
    arena_init(&a, NULL);
    pq_file_meta meta;
    pq_page_header header;
    pq_offset_index offsets;
    pq_column_index columns;
    size_t used;
    pq_read_footer(data, size, 4, 1u << 30, &a, &meta, NULL);
    if (pq_read_page_header(data, size, 4, &header, &used, NULL) == FZ_OK && used > size)
        __builtin_trap();
    pq_read_offset_index(data, size, &a, &offsets, NULL);
    pq_read_column_index(data, size, &a, &columns, NULL);
    arena_free(&a);
    return 0;
}
