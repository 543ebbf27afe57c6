/* refresh.c - see refresh.h. */
#include "engine/fanout/refresh.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/assert.h"

#define PAUSE_MIN_NS INT64_C(1000000) /* however many instruments there are */

tw_status twi_refresh_open(twi_refresh *refresh, const twi_refresh_config *config)
{
    TWI_ASSERT(config->interval_ns > 0);
    memset(refresh, 0, sizeof *refresh);
    refresh->config = *config;
    tw_status status = twi_market_open(&refresh->market, config->instrument_count_max, config->depth_max, 0);
    if (status == TW_OK)
        status = twi_market_reserve(&refresh->market, tw_symbols_count(config->symbols));
    refresh->snapshot = calloc(2 * (size_t)config->depth_max + 1, sizeof *refresh->snapshot);
    return status == TW_OK && refresh->snapshot == NULL ? TW_NO_MEMORY : status;
}

void twi_refresh_close(twi_refresh *refresh)
{
    twi_market_close(&refresh->market);
    free(refresh->snapshot);
    memset(refresh, 0, sizeof *refresh);
}

void twi_refresh_note(twi_refresh *refresh, const tw_event *event)
{
    if (TWI_UNLIKELY(event->instrument >= refresh->config.instrument_count_max))
        return;
    if (event->kind == TW_EVENT_LEVEL || event->kind == TW_EVENT_BOOK_CLEAR) {
        refresh->in_group = !(event->flags & TW_FLAG_LAST);
        /* A book that does not fit is in state `gap` from now on, and so left out. */
        tw_status status = twi_market_level(&refresh->market, event);
        (void)status;
        return;
    }
    refresh->in_group = 0; /* a group that was given up has no end of its own */
    if (event->kind == TW_EVENT_STATUS)
        twi_market_status(&refresh->market, event);
}

static int is_right(const twi_refresh *refresh, uint32_t instrument)
{
    const twi_market_instrument *state = &refresh->market.instruments[instrument];
    return state->book_begun && state->book_state == TW_STATE_OK;
}

static uint32_t put_book(twi_refresh *refresh, uint32_t instrument, tw_sink *sink)
{
    uint32_t count = twi_market_book_snapshot(&refresh->market, instrument, refresh->snapshot);
    if (count > refresh->config.event_max)
        return 0;
    for (uint32_t i = 0; i < count; i++) {
        tw_event *event = tw_sink_claim(sink);
        *event = refresh->snapshot[i];
        event->flags |= TW_FLAG_REFRESH;
        tw_sink_commit(sink);
    }
    return count;
}

uint32_t twi_refresh_step(twi_refresh *refresh, int64_t now_ns, tw_sink *sink, int64_t *next_ns)
{
    uint32_t instruments = tw_symbols_count(refresh->config.symbols), put = 0;
    instruments =
        instruments < refresh->config.instrument_count_max ? instruments : refresh->config.instrument_count_max;
    if (instruments > 0 && now_ns >= refresh->next_ns && !refresh->in_group) {
        int64_t pause_ns = refresh->config.interval_ns / instruments;
        if (refresh->next_ns != 0) {
            uint32_t instrument = refresh->cursor < instruments ? refresh->cursor : 0;
            refresh->cursor = instrument + 1;
            put = is_right(refresh, instrument) ? put_book(refresh, instrument, sink) : 0;
        }
        refresh->next_ns = now_ns + (pause_ns > PAUSE_MIN_NS ? pause_ns : PAUSE_MIN_NS);
    }
    if (instruments > 0 && refresh->next_ns < *next_ns)
        *next_ns = refresh->next_ns;
    return put;
}
