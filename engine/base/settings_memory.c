/* settings_memory.c - how much memory a configuration takes, one line per holder, before anything is allocated. */
#include <inttypes.h>

#include "engine/base/assert.h"
#include "engine/base/settings.h"
#include "engine/base/text.h"

void twi_memory_add(twi_memory_report *report, const char *name, uint64_t count, uint64_t unit_bytes)
{
    TWI_ASSERT(report->holder_count < TWI_MEMORY_HOLDER_COUNT_MAX);
    TWI_ASSERT(unit_bytes == 0 || count <= UINT64_MAX / unit_bytes);
    twi_memory_holder *holder = &report->holders[report->holder_count++];
    *holder = (twi_memory_holder){.name = name, .count = count, .unit_bytes = unit_bytes, .bytes = count * unit_bytes};
    report->total_bytes += holder->bytes;
}

bool twi_settings_refreshes(const twi_settings *settings)
{
    return settings->ring.refresh_ns > 0 && (settings->ring.name[0] != '\0' || settings->engine.threads != 1);
}

void twi_settings_memory(const twi_settings *settings, const twi_memory_unit_sizes *sizes, twi_memory_report *report)
{
    uint64_t instruments = (uint64_t)settings->ring.instruments_max;
    uint64_t clients = (uint64_t)settings->limits.connections_max;
    uint64_t shards = (uint64_t)settings->engine.threads;
    *report = (twi_memory_report){0};
    twi_memory_add(report, "tick ring", (uint64_t)settings->ring.slots, sizes->ring_slot);
    twi_memory_add(report, "instrument table", instruments, sizes->instrument);
    twi_memory_add(report, "last values", settings->ring.name[0] != '\0' ? instruments : 0, sizes->ring_last);
    twi_memory_add(report, "wire logs", sizes->codec_count, (uint64_t)settings->wire_log.bytes);
    twi_memory_add(report, "wire log indexes", sizes->codec_count * (uint64_t)twi_settings_index_slots(settings),
                   sizes->index_entry);
    twi_memory_add(report, "topics", instruments, sizes->topic);
    twi_memory_add(report, "books", 2 * instruments * (uint64_t)settings->book.depth_max, sizes->book_level);
    if (twi_settings_refreshes(settings))
        twi_memory_add(report, "books to repeat", 2 * instruments * (uint64_t)settings->book.depth_max,
                       sizes->book_level);
    twi_memory_add(report, "candles", instruments, sizes->candle_series);
    twi_memory_add(report, "last trades", instruments * (uint64_t)settings->http.trade_history, sizes->trade);
    twi_memory_add(report, "HTTP answers", shards, sizes->http_shard);
    twi_memory_add(report, "HTTP responses", shards,
                   sizes->http_shard ? (uint64_t)settings->http.pending_bytes_max : 0);
    twi_memory_add(report, "clients", clients, sizes->client);
    twi_memory_add(report, "subscription groups", shards * (uint64_t)settings->limits.groups_max, sizes->group);
    twi_memory_add(report, "sockets", clients + shards, sizes->loop_sock);
    twi_memory_add(report, "receive buffers", shards * sizes->recv_buffer_count, sizes->recv_buffer);
}

static void add_amount(twi_text *text, uint64_t bytes)
{
    if (bytes >= 10u << 20)
        twi_text_add(text, "%8" PRIu64 " MiB", (bytes + (1u << 19)) >> 20);
    else if (bytes >= 10u << 10)
        twi_text_add(text, "%8" PRIu64 " KiB", (bytes + (1u << 9)) >> 10);
    else
        twi_text_add(text, "%8" PRIu64 " B  ", bytes);
}

size_t twi_memory_report_print(const twi_memory_report *report, char *out, size_t cap)
{
    twi_text text = {.out = out, .cap = cap};
    for (uint32_t i = 0; i < report->holder_count; i++) {
        const twi_memory_holder *holder = &report->holders[i];
        if (holder->bytes == 0)
            continue;
        twi_text_add(&text, "  %-20s", holder->name);
        add_amount(&text, holder->bytes);
        twi_text_add(&text, "  = %" PRIu64 " x %" PRIu64 " B\n", holder->count, holder->unit_bytes);
    }
    twi_text_add(&text, "  %-20s", "total");
    add_amount(&text, report->total_bytes);
    twi_text_add(&text, "\n");
    return text.length;
}
