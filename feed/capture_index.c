/* capture_index.c - where the blocks of a capture are, in bounded memory, and what they add up to. */
#include <stdlib.h>

#include "feed/capture_format.h"

enum { FIRST_COUNT = 256 };

void twi_capture_index_close(twi_capture_index *index)
{
    free(index->entries);
    *index = (twi_capture_index){0};
}

tw_status twi_capture_index_reserve(twi_capture_index *index, uint32_t count)
{
    if (count <= index->cap)
        return TW_OK;
    twi_capture_index_entry *larger = realloc(index->entries, count * sizeof(*larger));
    if (!larger)
        return TW_NO_MEMORY;
    index->entries = larger;
    index->cap = count;
    return TW_OK;
}

/* Every second entry goes, and from now on only half as many come. */
static void thin_out(twi_capture_index *index)
{
    for (uint32_t i = 0; i < index->count / 2; i++)
        index->entries[i] = index->entries[2 * i];
    index->count /= 2;
    index->stride *= 2;
}

void twi_capture_index_add(twi_capture_index *index, uint64_t offset, const twi_capture_block *block)
{
    if (index->stride == 0)
        index->stride = 1;
    if (block->number % index->stride != 0)
        return;
    if (index->count == index->cap) {
        uint32_t larger = index->cap == 0 ? (uint32_t)FIRST_COUNT : index->cap * 2;
        if (larger > TWI_CAPTURE_INDEX_COUNT_MAX || twi_capture_index_reserve(index, larger) != TW_OK)
            thin_out(index);
    }
    if (index->count == index->cap)
        return; /* no memory even for the first */
    index->entries[index->count++] =
        (twi_capture_index_entry){.offset = offset, .number = block->number, .first_ns = block->first_ns};
}

const twi_capture_index_entry *twi_capture_index_find(const twi_capture_index *index, int64_t time_ns)
{
    uint32_t low = 0, high = index->count; /* entries below low begin in time, entries from high on later */
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (index->entries[middle].first_ns <= time_ns)
            low = middle + 1;
        else
            high = middle;
    }
    return low == 0 ? NULL : &index->entries[low - 1];
}

void twi_capture_add_totals(twi_capture_index_head *totals, const twi_capture_block *block)
{
    totals->block_count++;
    totals->event_count += block->event_count;
    totals->frame_count += block->frame_count;
    totals->lost_count += block->lost_count;
    if (block->first_ns != 0 && (totals->first_ns == 0 || block->first_ns < totals->first_ns))
        totals->first_ns = block->first_ns;
    if (block->last_ns > totals->last_ns)
        totals->last_ns = block->last_ns;
}
