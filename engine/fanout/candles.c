/* candles.c - see candles.h. */
#include "engine/fanout/candles.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/assert.h"
#include "engine/fanout/topics.h"

#define SWEEP_PAUSE_NS INT64_C(10000000) /* between two looks at everybody's clock */

tw_status twi_candles_open(twi_candles *candles, const twi_candles_config *config)
{
    memset(candles, 0, sizeof *candles);
    candles->config = *config;
    candles->sink = (twi_candle_sink){.tell = config->tell, .owner = config->owner};
    candles->next_due_ns = INT64_MAX;
    candles->series = calloc(config->instrument_count_max, sizeof(twi_candle_series *));
    candles->due_ns = calloc(config->instrument_count_max, sizeof *candles->due_ns);
    return candles->series != NULL && candles->due_ns != NULL ? TW_OK : TW_NO_MEMORY;
}

void twi_candles_close(twi_candles *candles)
{
    for (uint32_t i = 0; candles->series != NULL && i < candles->instrument_count; i++)
        free(candles->series[i]);
    free(candles->series);
    free(candles->due_ns);
    memset(candles, 0, sizeof *candles);
}

static twi_candle_series *open_series(twi_candles *candles, uint32_t instrument)
{
    void *memory = malloc(twi_candle_series_bytes(candles->config.history));
    if (memory == NULL)
        return NULL;
    candles->series[instrument] =
        twi_candle_series_init(memory, instrument, candles->config.history, candles->config.close_delay_ns);
    candles->due_ns[instrument] = INT64_MAX;
    if (candles->instrument_count <= instrument)
        candles->instrument_count = instrument + 1;
    return candles->series[instrument];
}

tw_status twi_candles_reserve(twi_candles *candles, uint32_t instrument_count)
{
    for (uint32_t i = 0; i < instrument_count && i < candles->config.instrument_count_max; i++)
        if (open_series(candles, i) == NULL)
            return TW_NO_MEMORY;
    return TW_OK;
}

static void note_due(twi_candles *candles, uint32_t instrument, int64_t due_ns)
{
    candles->due_ns[instrument] = due_ns;
    if (due_ns < candles->next_due_ns)
        candles->next_due_ns = due_ns;
}

void twi_candles_trade(twi_candles *candles, const tw_event *trade)
{
    static const twi_counter counters[] = {
        [TWI_CANDLE_TAKEN] = TWI_COUNTER_CANDLE_TAKEN,       [TWI_CANDLE_LATE] = TWI_COUNTER_CANDLE_LATE,
        [TWI_CANDLE_TOO_LATE] = TWI_COUNTER_CANDLE_TOO_LATE, [TWI_CANDLE_REPEATED] = TWI_COUNTER_CANDLE_REPEATED,
        [TWI_CANDLE_BAD_TIME] = TWI_COUNTER_CANDLE_BAD_TIME, [TWI_CANDLE_TOO_BIG] = TWI_COUNTER_CANDLE_TOO_BIG,
    };
    twi_candle_series *series = candles->series[trade->instrument];
    if (TWI_UNLIKELY(series == NULL) && (series = open_series(candles, trade->instrument)) == NULL) {
        twi_counter_add(candles->config.counters, TWI_COUNTER_CANDLE_NO_MEMORY, 1);
        return;
    }
    int was_changed = twi_candle_changed(series);
    twi_candle_outcome outcome = twi_candle_trade(series, trade, &candles->sink);
    twi_counter_increment(candles->config.counters, counters[outcome]);
    if (!was_changed && twi_candle_changed(series)) {
        TWI_ASSERT(candles->changed_count < TWI_CANDLES_CHANGED_MAX);
        candles->changed[candles->changed_count++] = trade->instrument;
    }
    note_due(candles, trade->instrument, twi_candle_due_ns(series));
}

void twi_candles_flush(twi_candles *candles, uint32_t instrument, uint32_t wanted)
{
    uint32_t unwanted = twi_candle_flush(candles->series[instrument], wanted, &candles->sink);
    for (uint32_t i = 0; unwanted != 0; i++, unwanted >>= 1)
        if (unwanted & 1)
            candles->config.skip(candles->config.owner, instrument, i);
}

uint32_t twi_candles_clock(twi_candles *candles, int64_t now_ns)
{
    if (TWI_LIKELY(now_ns < candles->next_due_ns))
        return 0;
    int64_t next_ns = INT64_MAX;
    uint32_t closed = 0;
    for (uint32_t i = 0; i < candles->instrument_count; i++) {
        if (candles->series[i] == NULL)
            continue;
        if (candles->due_ns[i] <= now_ns) {
            twi_candle_clock(candles->series[i], now_ns, &candles->sink);
            candles->due_ns[i] = twi_candle_due_ns(candles->series[i]);
            closed++;
        }
        if (candles->due_ns[i] < next_ns)
            next_ns = candles->due_ns[i];
    }
    candles->next_due_ns = next_ns < now_ns + SWEEP_PAUSE_NS ? now_ns + SWEEP_PAUSE_NS : next_ns;
    return closed;
}

const twi_candle_series *twi_candles_series(const twi_candles *candles, uint32_t instrument)
{
    return instrument < candles->instrument_count ? candles->series[instrument] : NULL;
}

int twi_candles_newest(const twi_candles *candles, uint32_t topic, tw_event out[2])
{
    uint32_t instrument = twi_topic_instrument(topic), interval = twi_topic_slot(topic) - TWI_SLOT_CANDLE;
    const twi_candle_series *series = twi_candles_series(candles, instrument);
    twi_candle candle;
    if (interval >= TWI_CANDLE_INTERVALS || series == NULL || !twi_candle_newest(series, interval, &candle))
        return 0;
    twi_candle_events(&candle, instrument, interval, out);
    return 1;
}
