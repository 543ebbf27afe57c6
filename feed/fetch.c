/* fetch.c - the list of REST halves; see fetch.h. */
#include "feed/fetch.h"

static const twi_fetch *const FETCHES[] = {
    &twi_fetch_binance,  &twi_fetch_binanceusdm, &twi_fetch_coinbase_exchange,
    &twi_fetch_coinbase, &twi_fetch_kraken,      &twi_fetch_kraken_v1,
    &twi_fetch_okx,      &twi_fetch_bybit,       &twi_fetch_bitstamp,
    &twi_fetch_deribit,  &twi_fetch_bitmex,      &twi_fetch_gemini,
    &twi_fetch_htx,      &twi_fetch_kucoin,      &twi_fetch_gate,
    &twi_fetch_bitfinex,
};

const twi_fetch *twi_fetch_find(const char *name)
{
    for (size_t i = 0; i < sizeof(FETCHES) / sizeof(*FETCHES); i++) {
        if (strcmp(FETCHES[i]->name, name) == 0)
            return FETCHES[i];
    }
    return NULL;
}

uint32_t twi_fetch_has(const twi_fetch *fetch)
{
    static const uint32_t bits[TWI_FETCH_KIND_COUNT] = {TW_HAS_FETCH_TICKER, TW_HAS_FETCH_ORDER_BOOK,
                                                        TW_HAS_FETCH_TRADES, TW_HAS_FETCH_OHLCV};
    uint32_t has = 0;
    for (unsigned kind = 0; kind < TWI_FETCH_KIND_COUNT; kind++)
        has |= fetch->calls[kind].path != NULL ? bits[kind] : 0;
    return has;
}
