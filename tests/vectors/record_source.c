/* record_source.c - see record_source.h. */
#include "tests/vectors/record_source.h"

#include "tests/unit/codec_support.h"

struct twt_record_source {
    twt_random random;
    tw_symbols *symbols;
    tw_event events[TWT_LEVELS_MAX];
    char id[TWI_TRADE_ID_BYTES_MAX];
};

twt_record_source *twt_record_source_open(uint64_t seed)
{
    twt_record_source *source = calloc(1, sizeof(*source));
    if (source == NULL) {
        abort();
    }
    source->random.state = seed;
    source->symbols = twt_codec_setup();
    return source;
}

void twt_record_source_close(twt_record_source *source)
{
    free(source->symbols);
    free(source);
}

tw_symbols *twt_record_source_symbols(twt_record_source *source)
{
    return source->symbols;
}

tw_record twt_record_source_next(twt_record_source *source, const char **id)
{
    tw_record record = twt_random_record(&source->random, source->symbols, source->events);
    const tw_event *event = source->events;
    size_t len = 0;
    if (event->kind == TW_EVENT_TRADE) {
        tw_id_kind kind = (tw_id_kind)((event->flags & TW_ID_KIND_MASK) >> TW_ID_KIND_SHIFT);
        len = twi_trade_id_format(kind, event->u.trade.id, source->id);
    }
    source->id[len] = '\0';
    *id = source->id;
    return record;
}
