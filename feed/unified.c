/* unified.c - names and the tree of ccxt's error classes, names of ticker members; see include/tickwire/unified.h. */
#include "tickwire/unified.h"

typedef struct class_entry {
    const char *name;
    tw_error_class parent;
} class_entry;

static const class_entry CLASSES[TW_ERROR_CLASS_COUNT] = {
    [TW_ERROR_NONE] = {"", TW_ERROR_NONE},
    [TW_ERROR_BASE_ERROR] = {"BaseError", TW_ERROR_NONE},
    [TW_ERROR_EXCHANGE_ERROR] = {"ExchangeError", TW_ERROR_BASE_ERROR},
    [TW_ERROR_AUTHENTICATION_ERROR] = {"AuthenticationError", TW_ERROR_EXCHANGE_ERROR},
    [TW_ERROR_PERMISSION_DENIED] = {"PermissionDenied", TW_ERROR_AUTHENTICATION_ERROR},
    [TW_ERROR_ACCOUNT_NOT_ENABLED] = {"AccountNotEnabled", TW_ERROR_PERMISSION_DENIED},
    [TW_ERROR_ACCOUNT_SUSPENDED] = {"AccountSuspended", TW_ERROR_AUTHENTICATION_ERROR},
    [TW_ERROR_ARGUMENTS_REQUIRED] = {"ArgumentsRequired", TW_ERROR_EXCHANGE_ERROR},
    [TW_ERROR_BAD_REQUEST] = {"BadRequest", TW_ERROR_EXCHANGE_ERROR},
    [TW_ERROR_BAD_SYMBOL] = {"BadSymbol", TW_ERROR_BAD_REQUEST},
    [TW_ERROR_OPERATION_REJECTED] = {"OperationRejected", TW_ERROR_EXCHANGE_ERROR},
    [TW_ERROR_NO_CHANGE] = {"NoChange", TW_ERROR_OPERATION_REJECTED},
    [TW_ERROR_MARKET_CLOSED] = {"MarketClosed", TW_ERROR_OPERATION_REJECTED},
    [TW_ERROR_MANUAL_INTERACTION_NEEDED] = {"ManualInteractionNeeded", TW_ERROR_OPERATION_REJECTED},
    [TW_ERROR_RESTRICTED_LOCATION] = {"RestrictedLocation", TW_ERROR_OPERATION_REJECTED},
    [TW_ERROR_NOT_SUPPORTED] = {"NotSupported", TW_ERROR_EXCHANGE_ERROR},
    [TW_ERROR_INVALID_PROXY_SETTINGS] = {"InvalidProxySettings", TW_ERROR_EXCHANGE_ERROR},
    [TW_ERROR_EXCHANGE_CLOSED_BY_USER] = {"ExchangeClosedByUser", TW_ERROR_EXCHANGE_ERROR},
    [TW_ERROR_OPERATION_FAILED] = {"OperationFailed", TW_ERROR_BASE_ERROR},
    [TW_ERROR_NETWORK_ERROR] = {"NetworkError", TW_ERROR_OPERATION_FAILED},
    [TW_ERROR_DDOS_PROTECTION] = {"DDoSProtection", TW_ERROR_NETWORK_ERROR},
    [TW_ERROR_RATE_LIMIT_EXCEEDED] = {"RateLimitExceeded", TW_ERROR_NETWORK_ERROR},
    [TW_ERROR_EXCHANGE_NOT_AVAILABLE] = {"ExchangeNotAvailable", TW_ERROR_NETWORK_ERROR},
    [TW_ERROR_ON_MAINTENANCE] = {"OnMaintenance", TW_ERROR_EXCHANGE_NOT_AVAILABLE},
    [TW_ERROR_INVALID_NONCE] = {"InvalidNonce", TW_ERROR_NETWORK_ERROR},
    [TW_ERROR_CHECKSUM_ERROR] = {"ChecksumError", TW_ERROR_INVALID_NONCE},
    [TW_ERROR_REQUEST_TIMEOUT] = {"RequestTimeout", TW_ERROR_NETWORK_ERROR},
    [TW_ERROR_BAD_RESPONSE] = {"BadResponse", TW_ERROR_OPERATION_FAILED},
    [TW_ERROR_NULL_RESPONSE] = {"NullResponse", TW_ERROR_BAD_RESPONSE},
    [TW_ERROR_UNSUBSCRIBE_ERROR] = {"UnsubscribeError", TW_ERROR_BASE_ERROR},
};

static int known(tw_error_class error)
{
    return (unsigned)error < TW_ERROR_CLASS_COUNT;
}

const char *tw_error_name(tw_error_class error)
{
    return known(error) ? CLASSES[error].name : "";
}

tw_error_class tw_error_parent(tw_error_class error)
{
    return known(error) ? CLASSES[error].parent : TW_ERROR_NONE;
}

int tw_error_is(tw_error_class error, tw_error_class ancestor)
{
    for (; error != TW_ERROR_NONE && known(error); error = CLASSES[error].parent) {
        if (error == ancestor)
            return 1;
    }
    return 0;
}

/* ---- tickers ---- */

static const struct {
    const char *name;
    size_t offset;
} FIELDS[TW_TICKER_FIELD_COUNT] = {
    [TW_TICKER_HIGH] = {"high", offsetof(tw_ticker, high)},
    [TW_TICKER_LOW] = {"low", offsetof(tw_ticker, low)},
    [TW_TICKER_BID] = {"bid", offsetof(tw_ticker, bid)},
    [TW_TICKER_BID_VOLUME] = {"bidVolume", offsetof(tw_ticker, bid_volume)},
    [TW_TICKER_ASK] = {"ask", offsetof(tw_ticker, ask)},
    [TW_TICKER_ASK_VOLUME] = {"askVolume", offsetof(tw_ticker, ask_volume)},
    [TW_TICKER_VWAP] = {"vwap", offsetof(tw_ticker, vwap)},
    [TW_TICKER_OPEN] = {"open", offsetof(tw_ticker, open)},
    [TW_TICKER_CLOSE] = {"close", offsetof(tw_ticker, close)},
    [TW_TICKER_LAST] = {"last", offsetof(tw_ticker, last)},
    [TW_TICKER_PREVIOUS_CLOSE] = {"previousClose", offsetof(tw_ticker, previous_close)},
    [TW_TICKER_CHANGE] = {"change", offsetof(tw_ticker, change)},
    [TW_TICKER_PERCENTAGE] = {"percentage", offsetof(tw_ticker, percentage)},
    [TW_TICKER_AVERAGE] = {"average", offsetof(tw_ticker, average)},
    [TW_TICKER_QUOTE_VOLUME] = {"quoteVolume", offsetof(tw_ticker, quote_volume)},
    [TW_TICKER_BASE_VOLUME] = {"baseVolume", offsetof(tw_ticker, base_volume)},
    [TW_TICKER_INDEX_PRICE] = {"indexPrice", offsetof(tw_ticker, index_price)},
    [TW_TICKER_MARK_PRICE] = {"markPrice", offsetof(tw_ticker, mark_price)},
};

int tw_ticker_get(const tw_ticker *ticker, tw_ticker_field field, tw_decimal *value)
{
    *value = (tw_decimal){0};
    if ((unsigned)field >= TW_TICKER_FIELD_COUNT || (ticker->given & 1u << field) == 0)
        return 0;
    *value = *(const tw_decimal *)(const void *)((const char *)ticker + FIELDS[field].offset);
    return 1;
}

const char *tw_ticker_field_name(tw_ticker_field field)
{
    return (unsigned)field < TW_TICKER_FIELD_COUNT ? FIELDS[field].name : NULL;
}
