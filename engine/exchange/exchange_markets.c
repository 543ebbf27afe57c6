/* exchange_markets.c - the market table of an exchange: loaded once, found by symbol or id, never changed; see
 * include/tickwire/exchange.h. A reload makes a new table; markets of the old one stay where they are. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/exchange/exchange_internal.h"

enum { FIRST_CAPACITY = 256, PAGES_MAX = 64 };

static uint32_t hash_of(const char *text)
{
    uint32_t hash = 2166136261u;
    for (; *text != 0; text++)
        hash = (hash ^ (uint8_t)*text) * 16777619u;
    return hash;
}

static void put(uint32_t *slots, uint32_t mask, const char *name, uint32_t index)
{
    uint32_t at = hash_of(name) & mask;
    while (slots[at] != 0)
        at = (at + 1) & mask;
    slots[at] = index + 1;
}

static bool index_table(twi_market_table *table)
{
    uint32_t size = 16;
    while (size < table->count * 2)
        size *= 2;
    table->mask = size - 1;
    table->by_symbol = calloc(size, sizeof(uint32_t));
    table->by_id = calloc(size, sizeof(uint32_t));
    if (table->by_symbol == NULL || table->by_id == NULL)
        return false;
    for (uint32_t i = 0; i < table->count; i++) {
        put(table->by_symbol, table->mask, table->markets[i].symbol, i);
        put(table->by_id, table->mask, table->markets[i].id, i);
    }
    return true;
}

/* The unified symbol wins; of an id that several markets share (spot and swap), the first of the list. */
static const tw_market *find(const twi_market_table *table, const char *name)
{
    for (int by_id = 0; by_id < 2; by_id++) {
        const uint32_t *slots = by_id ? table->by_id : table->by_symbol;
        for (uint32_t at = hash_of(name) & table->mask; slots[at] != 0; at = (at + 1) & table->mask) {
            const tw_market *market = &table->markets[slots[at] - 1];
            if (strcmp(by_id ? market->id : market->symbol, name) == 0)
                return market;
        }
    }
    return NULL;
}

void twi_market_table_free(twi_market_table *table)
{
    while (table != NULL) {
        twi_market_table *older = table->older;
        free(table->markets);
        free(table->by_symbol);
        free(table->by_id);
        free(table);
        table = older;
    }
}

static void take_market(void *owner, const tw_market *market)
{
    twi_market_table *table = owner;
    if (market->symbol[0] == 0 || market->id[0] == 0)
        return;
    if (table->count == table->capacity) {
        uint32_t capacity = table->capacity > 0 ? table->capacity * 2 : FIRST_CAPACITY;
        tw_market *larger = realloc(table->markets, capacity * sizeof(*larger));
        if (larger == NULL) {
            table->cut = true;
            return;
        }
        table->markets = larger;
        table->capacity = capacity;
    }
    table->markets[table->count++] = *market;
}

/* All pages of the venue's list. */
static tw_error_class fetch_pages(tw_exchange *exchange, const char *what, tw_market_fn fn, void *owner)
{
    tw_feed_config config = {.rest_url = exchange->rest_url};
    for (uint32_t page = 0; page < PAGES_MAX; page++) {
        tw_request request;
        twi_answer answer;
        tw_status status = exchange->ops->markets_request(&config, page, &request);
        if (status == TW_EMPTY)
            break;
        if (status != TW_OK)
            return twi_exchange_fail_status(exchange, status, what, "no address of the market list");
        tw_error_class error = twi_exchange_get(exchange, request.url, request.post, what, &answer);
        if (error != TW_ERROR_NONE)
            return error;
        status = exchange->ops->markets_parse(answer.body, answer.body_len, fn, owner);
        free(answer.body);
        if (status != TW_OK)
            return twi_exchange_fail(exchange, TW_ERROR_BAD_RESPONSE, what, "%s is not a market list (%s)", request.url,
                                     tw_status_name(status));
    }
    return TW_ERROR_NONE;
}

tw_error_class tw_fetch_markets(tw_exchange *exchange, tw_market_fn fn, void *owner)
{
    return fetch_pages(exchange, "fetch_markets", fn, owner);
}

static tw_error_class load(tw_exchange *exchange)
{
    twi_market_table *table = calloc(1, sizeof(*table));
    if (table == NULL)
        return twi_exchange_fail(exchange, TW_ERROR_OPERATION_FAILED, "load_markets", "no memory");
    tw_error_class error = fetch_pages(exchange, "load_markets", take_market, table);
    if (error == TW_ERROR_NONE && table->count == 0)
        error = twi_exchange_fail(exchange, TW_ERROR_NULL_RESPONSE, "load_markets", "the market list is empty");
    if (error == TW_ERROR_NONE && (table->cut || !index_table(table)))
        error = twi_exchange_fail(exchange, TW_ERROR_OPERATION_FAILED, "load_markets", "no memory");
    if (error != TW_ERROR_NONE) {
        twi_market_table_free(table);
        return error;
    }
    table->older = atomic_load(&exchange->table);
    atomic_store(&exchange->table, table);
    return TW_ERROR_NONE;
}

tw_error_class tw_exchange_load_markets(tw_exchange *exchange, int reload)
{
    tw_error_class error = TW_ERROR_NONE;
    if (!reload && atomic_load(&exchange->table) != NULL)
        return TW_ERROR_NONE;
    pthread_mutex_lock(&exchange->loading);
    if (reload || atomic_load(&exchange->table) == NULL)
        error = load(exchange);
    pthread_mutex_unlock(&exchange->loading);
    return error;
}

/* ---- lookups ---- */

static bool same_kind(const char *a, const char *b)
{
    const char *a_settle = strchr(a, ':'), *b_settle = strchr(b, ':');
    return (a_settle == NULL) == (b_settle == NULL);
}

/* A symbol of the same base, so that an error can name what was perhaps meant. */
static const char *similar(const twi_market_table *table, const char *symbol)
{
    size_t base_len = strcspn(symbol, "/-_:");
    for (uint32_t i = 0; i < table->count; i++) {
        const char *other = table->markets[i].symbol;
        if (strncmp(other, symbol, base_len) == 0 && other[base_len] == '/' && same_kind(other, symbol))
            return other;
    }
    return NULL;
}

tw_error_class twi_exchange_find(tw_exchange *exchange, const char *symbol, const char *what, const tw_market **market)
{
    *market = NULL;
    if (symbol == NULL || *symbol == 0)
        return twi_exchange_fail(exchange, TW_ERROR_ARGUMENTS_REQUIRED, what, "a symbol is needed, e.g. \"BTC/USDT\"");
    tw_error_class error = tw_exchange_load_markets(exchange, 0);
    if (error != TW_ERROR_NONE)
        return error;
    const twi_market_table *table = atomic_load(&exchange->table);
    *market = find(table, symbol);
    if (*market != NULL)
        return TW_ERROR_NONE;
    const char *other = similar(table, symbol);
    return twi_exchange_fail(exchange, TW_ERROR_BAD_SYMBOL, what,
                             "none of the venue's %u markets is called \"%s\"; %s%s%s", table->count, symbol,
                             other != NULL ? "there is \"" : "unified symbols look like \"",
                             other != NULL ? other : table->markets[0].symbol, "\"");
}

const tw_market *tw_exchange_market(tw_exchange *exchange, const char *symbol)
{
    const tw_market *market;
    return twi_exchange_find(exchange, symbol, "market", &market) == TW_ERROR_NONE ? market : NULL;
}

const tw_market *tw_exchange_market_at(const tw_exchange *exchange, uint32_t index)
{
    const twi_market_table *table = atomic_load(&exchange->table);
    return table != NULL && index < table->count ? &table->markets[index] : NULL;
}

uint32_t tw_exchange_market_count(const tw_exchange *exchange)
{
    const twi_market_table *table = atomic_load(&exchange->table);
    return table != NULL ? table->count : 0;
}
