/* counters.c - the table of counters, blocks of cells, sums; see counters.h. */
#include "engine/stats/counters.h"

#include <string.h>

#include "engine/base/assert.h"

#define COUNTERS_MAGIC UINT64_C(0x73746e756f436b54)

typedef struct stage_header {
    uint64_t stage;
    uint64_t reserved[7];
} stage_header; /* a cache line before each histogram */

_Static_assert(sizeof(twi_counters) <= TWI_CACHE_LINE_BYTES, "blocks start on the second line");
_Static_assert(sizeof(twi_cells) % TWI_CACHE_LINE_BYTES == 0, "no two blocks share a line");
_Static_assert(sizeof(stage_header) == TWI_CACHE_LINE_BYTES, "one line");

static const twi_counter_facts facts[] = {
#define ROW(id, kind, family, labels, help) [TWI_COUNTER_##id] = {family, labels, help, TWI_KIND_##kind},
#include "engine/stats/counter_list.def"
#undef ROW
};

static const char *const stage_names[] = {
    [TWI_STAGE_RECEIVE_TO_RING] = "receive_to_ring",
    [TWI_STAGE_RING_TO_PUBLISHED] = "ring_to_published",
    [TWI_STAGE_PUBLISHED_TO_SENT] = "published_to_sent",
};

_Static_assert(sizeof(facts) / sizeof(facts[0]) == TWI_COUNTER_COUNT, "one row per id");
_Static_assert(sizeof(stage_names) / sizeof(stage_names[0]) == TWI_STAGE_COUNT, "one name per stage");

static size_t to_line(size_t bytes)
{
    return (bytes + TWI_CACHE_LINE_BYTES - 1) / TWI_CACHE_LINE_BYTES * TWI_CACHE_LINE_BYTES;
}

static size_t stage_bytes(void)
{
    return sizeof(stage_header) + to_line(twi_histogram_bytes(TWI_HISTOGRAM_SUB_BITS, TWI_HISTOGRAM_VALUE_MAX));
}

static size_t blocks_end(uint32_t block_count_max)
{
    return TWI_CACHE_LINE_BYTES + block_count_max * sizeof(twi_cells);
}

size_t twi_counters_bytes(uint32_t block_count_max, uint32_t stage_count_max)
{
    return blocks_end(block_count_max) + stage_count_max * stage_bytes();
}

/* FNV-1a over the names in order of their ids. */
uint64_t twi_counters_table_hash(void)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (int i = 0; i < TWI_COUNTER_COUNT; i++) {
        const char *texts[] = {facts[i].family, facts[i].labels};
        for (int k = 0; k < 2; k++) {
            for (const char *at = texts[k];; at++) {
                hash = (hash ^ (uint8_t)*at) * UINT64_C(0x100000001b3);
                if (!*at) {
                    break;
                }
            }
        }
    }
    return hash;
}

twi_counters *twi_counters_init(void *memory, uint32_t block_count_max, uint32_t stage_count_max)
{
    TWI_ASSERT((uintptr_t)memory % TWI_CACHE_LINE_BYTES == 0);
    TWI_ASSERT(block_count_max <= TWI_BLOCK_COUNT_MAX && stage_count_max <= TWI_BLOCK_COUNT_MAX);
    size_t bytes = twi_counters_bytes(block_count_max, stage_count_max);
    memset(memory, 0, bytes);
    twi_counters *counters = memory;
    counters->table_hash = twi_counters_table_hash();
    counters->total_bytes = bytes;
    counters->block_count_max = block_count_max;
    counters->stage_count_max = stage_count_max;
    counters->magic = COUNTERS_MAGIC;
    return counters;
}

const twi_counters *twi_counters_view(const void *memory, size_t bytes)
{
    const twi_counters *counters = memory;
    if (bytes < sizeof(*counters) || (uintptr_t)memory % TWI_CACHE_LINE_BYTES != 0 ||
        counters->magic != COUNTERS_MAGIC || counters->table_hash != twi_counters_table_hash()) {
        return NULL;
    }
    uint32_t blocks = counters->block_count_max, stages = counters->stage_count_max;
    if (blocks > TWI_BLOCK_COUNT_MAX || stages > TWI_BLOCK_COUNT_MAX || twi_counters_bytes(blocks, stages) > bytes) {
        return NULL;
    }
    return counters;
}

uint32_t twi_counters_block_count(const twi_counters *counters)
{
    uint32_t count = atomic_load_explicit(&counters->block_count, memory_order_acquire);
    return count < counters->block_count_max ? count : counters->block_count_max;
}

const twi_cells *twi_counters_block(const twi_counters *counters, uint32_t index)
{
    TWI_ASSERT(index < counters->block_count_max);
    return (const twi_cells *)((const uint8_t *)counters + TWI_CACHE_LINE_BYTES) + index;
}

static void copy_text(char *to, size_t cap, const char *from)
{
    size_t length = strlen(from);
    memcpy(to, from, length < cap ? length : cap - 1);
}

twi_cells *twi_counters_open(twi_counters *counters, const char *label, const char *value)
{
    uint32_t count = twi_counters_block_count(counters);
    if (count == counters->block_count_max) {
        return NULL;
    }
    twi_cells *cells = (twi_cells *)((uint8_t *)counters + TWI_CACHE_LINE_BYTES) + count;
    copy_text(cells->label, sizeof(cells->label), label);
    copy_text(cells->value, sizeof(cells->value), value);
    atomic_store_explicit(&counters->block_count, count + 1, memory_order_release);
    return cells;
}

static const stage_header *stage_at(const twi_counters *counters, uint32_t index)
{
    size_t offset = blocks_end(counters->block_count_max) + index * stage_bytes();
    return (const stage_header *)((const uint8_t *)counters + offset);
}

twi_histogram *twi_counters_stage_open(twi_counters *counters, twi_stage stage)
{
    uint32_t count = atomic_load_explicit(&counters->stage_count, memory_order_acquire);
    if (count >= counters->stage_count_max) {
        return NULL;
    }
    size_t offset = blocks_end(counters->block_count_max) + count * stage_bytes();
    stage_header *header = (stage_header *)((uint8_t *)counters + offset);
    header->stage = stage;
    twi_histogram *histogram = twi_histogram_init(header + 1, TWI_HISTOGRAM_SUB_BITS, TWI_HISTOGRAM_VALUE_MAX);
    atomic_store_explicit(&counters->stage_count, count + 1, memory_order_release);
    return histogram;
}

const twi_counter_facts *twi_counter_facts_of(twi_counter id)
{
    TWI_ASSERT((unsigned)id < TWI_COUNTER_COUNT);
    return &facts[id];
}

const char *twi_stage_name(twi_stage stage)
{
    TWI_ASSERT((unsigned)stage < TWI_STAGE_COUNT);
    return stage_names[stage];
}

uint64_t twi_counters_sum(const twi_counters *counters, twi_counter id)
{
    uint64_t sum = 0;
    uint32_t count = twi_counters_block_count(counters);
    for (uint32_t i = 0; i < count; i++) {
        sum += twi_counter_get(twi_counters_block(counters, i), id);
    }
    return sum;
}

void twi_counters_snapshot(const twi_counters *counters, uint64_t *out)
{
    for (int i = 0; i < TWI_COUNTER_COUNT; i++) {
        out[i] = twi_counters_sum(counters, (twi_counter)i);
    }
}

void twi_counters_stage_merge(const twi_counters *counters, twi_stage stage, twi_histogram *into)
{
    uint32_t count = atomic_load_explicit(&counters->stage_count, memory_order_acquire);
    for (uint32_t i = 0; i < count && i < counters->stage_count_max; i++) {
        const stage_header *header = stage_at(counters, i);
        if (header->stage == (uint64_t)stage) {
            tw_status status = twi_histogram_merge(into, (const twi_histogram *)(header + 1));
            TWI_ASSERT(status == TW_OK);
        }
    }
}

typedef struct code_row {
    uint16_t code;
    twi_counter id;
} code_row;

static const code_row close_rows[] = {
    {1000, TWI_COUNTER_CLOSES_1000}, {1001, TWI_COUNTER_CLOSES_1001}, {1002, TWI_COUNTER_CLOSES_1002},
    {1003, TWI_COUNTER_CLOSES_1003}, {1006, TWI_COUNTER_CLOSES_1006}, {1007, TWI_COUNTER_CLOSES_1007},
    {1008, TWI_COUNTER_CLOSES_1008}, {1009, TWI_COUNTER_CLOSES_1009}, {1011, TWI_COUNTER_CLOSES_1011},
    {4001, TWI_COUNTER_CLOSES_4001}, {4002, TWI_COUNTER_CLOSES_4002}, {4003, TWI_COUNTER_CLOSES_4003},
    {4004, TWI_COUNTER_CLOSES_4004}, {4500, TWI_COUNTER_CLOSES_4500}, {4501, TWI_COUNTER_CLOSES_4501},
    {4502, TWI_COUNTER_CLOSES_4502}, {4503, TWI_COUNTER_CLOSES_4503},
};

static const code_row http_rows[] = {
    {101, TWI_COUNTER_HTTP_101}, {200, TWI_COUNTER_HTTP_200}, {304, TWI_COUNTER_HTTP_304}, {400, TWI_COUNTER_HTTP_400},
    {401, TWI_COUNTER_HTTP_401}, {403, TWI_COUNTER_HTTP_403}, {404, TWI_COUNTER_HTTP_404}, {405, TWI_COUNTER_HTTP_405},
    {408, TWI_COUNTER_HTTP_408}, {413, TWI_COUNTER_HTTP_413}, {414, TWI_COUNTER_HTTP_414}, {426, TWI_COUNTER_HTTP_426},
    {429, TWI_COUNTER_HTTP_429}, {431, TWI_COUNTER_HTTP_431}, {500, TWI_COUNTER_HTTP_500}, {503, TWI_COUNTER_HTTP_503},
};

static twi_counter row_of(const code_row *rows, size_t count, uint16_t code, twi_counter other)
{
    for (size_t i = 0; i < count; i++) {
        if (rows[i].code == code) {
            return rows[i].id;
        }
    }
    return other;
}

twi_counter twi_counter_of_close(uint16_t code)
{
    return row_of(close_rows, sizeof(close_rows) / sizeof(close_rows[0]), code, TWI_COUNTER_CLOSES_OTHER);
}

twi_counter twi_counter_of_http(uint16_t status)
{
    return row_of(http_rows, sizeof(http_rows) / sizeof(http_rows[0]), status, TWI_COUNTER_HTTP_OTHER);
}
