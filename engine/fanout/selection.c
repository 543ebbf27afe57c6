/* selection.c - see selection.h. */
#include "engine/fanout/selection.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SYMBOL_TEXT_MAX = 96 };

void twi_append_error(twi_buffer *out, int code, const char *name, int temporary, const char *message)
{
    twi_buffer_format(out, "\"code\":%d,\"name\":\"%s\",\"message\":", code, name);
    twi_buffer_json_string(out, message, strlen(message));
    twi_buffer_format(out, ",\"temporary\":%s}", temporary ? "true" : "false");
}

static void select_topic(twi_selection *selection, uint32_t topic, int venue_form)
{
    if (selection->count == selection->capacity) {
        uint32_t capacity = selection->capacity == 0 ? 16 : selection->capacity * 2;
        twi_join_topic *topics = realloc(selection->topics, capacity * sizeof *topics);
        if (topics == NULL) {
            selection->no_memory = 1;
            return;
        }
        selection->topics = topics;
        selection->capacity = capacity;
    }
    selection->topics[selection->count++] = (twi_join_topic){.topic = topic, .venue_form = (uint8_t)venue_form};
}

static void select_instrument(twi_selection *selection, uint32_t instrument, int venue_form)
{
    for (uint32_t i = 0; i < selection->slot_count; i++)
        select_topic(selection, twi_topic(instrument, selection->slots[i]), venue_form);
}

static void selection_error(twi_selection *selection, const char *member, const char *text, size_t len, int code,
                            const char *name, const char *message)
{
    if (selection->errors.len > 0)
        twi_buffer_text(&selection->errors, ",");
    twi_buffer_format(&selection->errors, "{\"%s\":", member);
    twi_buffer_json_string(&selection->errors, text, len);
    twi_buffer_text(&selection->errors, ",");
    twi_append_error(&selection->errors, code, name, 0, message);
}

static void select_channel(twi_selection *selection, const char *text, size_t len)
{
    int slot = twi_slot_parse(text, len);
    if (slot < 0) {
        selection_error(selection, "channel", text, len, TWI_ERROR_NOT_SUPPORTED, "NotSupported",
                        "no such channel; there are trade, quote, book, status and candle.<interval>");
        return;
    }
    for (uint32_t i = 0; i < selection->slot_count; i++)
        if (selection->slots[i] == (uint32_t)slot)
            return;
    selection->slots[selection->slot_count++] = (uint32_t)slot;
}

/* "*", "venue:*", "*:SYMBOL", "venue:SYMBOL"; SYMBOL is unified or the venue's own id. */
static void select_symbol(const tw_symbols *symbols, twi_selection *selection, const char *text, size_t len)
{
    const char *colon = memchr(text, ':', len), *slash = memchr(text, '/', len);
    size_t exchange_len = colon != NULL ? (size_t)(colon - text) : len;
    const char *symbol = colon != NULL ? colon + 1 : text;
    size_t symbol_len = colon != NULL ? len - exchange_len - 1 : len;
    int everything = len == 1 && text[0] == '*';
    char message[SYMBOL_TEXT_MAX + 96];
    if (!everything && (colon == NULL || (slash != NULL && slash < colon))) {
        selection_error(selection, "symbol", text, len, TWI_ERROR_BAD_SYMBOL, "BadSymbol",
                        "write the venue in front, as in binance:BTC/USDT, or * for all");
        return;
    }
    int any_exchange = everything || (exchange_len == 1 && text[0] == '*');
    int any_symbol = everything || (symbol_len == 1 && symbol[0] == '*');
    if (!any_exchange && !any_symbol) {
        uint32_t instrument = tw_symbols_find(symbols, text, exchange_len, symbol, symbol_len);
        const tw_instrument *found = tw_symbols_get(symbols, instrument);
        if (found != NULL) {
            select_instrument(selection, instrument,
                              found->symbol_len != symbol_len || memcmp(found->symbol, symbol, symbol_len) != 0);
            return;
        }
    }
    uint32_t before = selection->count, count = tw_symbols_count(symbols);
    for (uint32_t i = 0; i < count && (any_exchange || any_symbol); i++) {
        const tw_instrument *at = tw_symbols_get(symbols, i);
        int exchange_fits =
            any_exchange || (at->exchange_len == exchange_len && memcmp(at->exchange, text, exchange_len) == 0);
        int unified = at->symbol_len == symbol_len && memcmp(at->symbol, symbol, symbol_len) == 0;
        int native = at->venue_id_len == symbol_len && memcmp(at->venue_id, symbol, symbol_len) == 0;
        if (exchange_fits && (any_symbol || unified || native))
            select_instrument(selection, i, !any_symbol && !unified);
    }
    if (selection->count != before || selection->slot_count == 0)
        return;
    if (any_exchange || any_symbol)
        snprintf(message, sizeof message, "nothing here matches %.*s",
                 (int)(len < SYMBOL_TEXT_MAX ? len : SYMBOL_TEXT_MAX), text);
    else
        snprintf(message, sizeof message, "%.*s lists no %.*s", (int)(exchange_len < 32 ? exchange_len : 32), text,
                 (int)(symbol_len < SYMBOL_TEXT_MAX - 32 ? symbol_len : SYMBOL_TEXT_MAX - 32), symbol);
    selection_error(selection, "symbol", text, len, TWI_ERROR_BAD_SYMBOL, "BadSymbol", message);
}

static int compare_topics(const void *a, const void *b)
{
    uint32_t left = ((const twi_join_topic *)a)->topic, right = ((const twi_join_topic *)b)->topic;
    return left < right ? -1 : left > right;
}

static void sort_unique(twi_selection *selection)
{
    if (selection->count == 0)
        return;
    qsort(selection->topics, selection->count, sizeof *selection->topics, compare_topics);
    uint32_t kept = 1;
    for (uint32_t i = 1; i < selection->count; i++)
        if (selection->topics[i].topic != selection->topics[kept - 1].topic)
            selection->topics[kept++] = selection->topics[i];
    selection->count = kept;
}

/* Reads a JSON array of strings; calls back for each. */
static tw_status each_string(twi_json json, void (*each)(void *owner, const char *text, size_t len), void *owner)
{
    json.status = TW_OK;
    twi_json_enter_array(&json);
    while (twi_json_next_item(&json)) {
        twi_json_slice slice;
        char text[SYMBOL_TEXT_MAX];
        size_t len;
        if (!twi_json_string(&json, &slice))
            return TW_MALFORMED;
        if (twi_json_unescape(slice, text, sizeof text, &len) != TW_OK)
            return TW_MALFORMED;
        each(owner, text, len);
    }
    return json.status;
}

typedef struct symbol_context {
    const tw_symbols *symbols;
    twi_selection *selection;
} symbol_context;

static void each_channel(void *owner, const char *text, size_t len)
{
    select_channel(owner, text, len);
}
static void each_symbol(void *owner, const char *text, size_t len)
{
    symbol_context *context = owner;
    select_symbol(context->symbols, context->selection, text, len);
}

void twi_selection_fini(twi_selection *selection)
{
    free(selection->topics);
    twi_buffer_fini(&selection->errors);
}

tw_status twi_selection_read(twi_selection *selection, const tw_symbols *symbols, twi_json channels, twi_json patterns)
{
    symbol_context context = {.symbols = symbols, .selection = selection};
    memset(selection, 0, sizeof *selection);
    tw_status status = each_string(channels, each_channel, selection);
    if (status == TW_OK)
        status = each_string(patterns, each_symbol, &context);
    if (status == TW_OK && (selection->no_memory || selection->errors.failed))
        status = TW_NO_MEMORY;
    sort_unique(selection);
    return status;
}
