/* market.c - unified symbols; see market.h. */
#include "feed/market.h"

#include "feed/times.h"

enum { NS_DAYS_SECONDS = 86400, EXPIRY_LEN = 6 };

/* Cuts the text before `separator` off *rest; the whole rest if there is none. */
static twi_name take_until(twi_name *rest, char separator)
{
    const char *at = rest->len > 0 ? memchr(rest->text, separator, rest->len) : NULL;
    twi_name part = *rest;
    if (at == NULL) {
        rest->text += rest->len;
        rest->len = 0;
        return part;
    }
    part.len = (size_t)(at - rest->text);
    rest->len -= part.len + 1;
    rest->text = at + 1;
    return part;
}

bool twi_symbol_split(const char *symbol, size_t len, twi_symbol_parts *parts)
{
    *parts = (twi_symbol_parts){0};
    twi_name rest = {symbol, len};
    if (len == 0 || memchr(symbol, '/', len) == NULL)
        return false;
    parts->base = take_until(&rest, '/');
    parts->quote = take_until(&rest, ':');
    parts->settle = take_until(&rest, '-');
    parts->expiry = take_until(&rest, '-');
    parts->strike = take_until(&rest, '-');
    if (rest.len == 1 && (rest.text[0] == 'C' || rest.text[0] == 'P'))
        parts->option = rest.text[0];
    else if (rest.len != 0)
        return false;
    bool dated = parts->expiry.len == 0 || (parts->expiry.len == EXPIRY_LEN && parts->settle.len > 0);
    bool optioned = (parts->strike.len > 0) == (parts->option != 0);
    return parts->base.len > 0 && parts->quote.len > 0 && dated && optioned;
}

static bool same(const char *a, const char *b, size_t b_len)
{
    return strlen(a) == b_len && memcmp(a, b, b_len) == 0;
}

twi_name twi_code_unify(const twi_code *codes, const char *name, size_t len)
{
    for (; codes != NULL && codes->venue != NULL; codes++) {
        if (same(codes->venue, name, len))
            return (twi_name){codes->unified, strlen(codes->unified)};
    }
    return (twi_name){name, len};
}

twi_name twi_code_of_venue(const twi_code *codes, twi_name unified)
{
    for (; codes != NULL && codes->venue != NULL; codes++) {
        if (same(codes->unified, unified.text, unified.len))
            return (twi_name){codes->venue, strlen(codes->venue)};
    }
    return unified;
}

bool twi_split_quote(const char *id, size_t len, const char *const *quotes, size_t *base_len)
{
    size_t longest = 0;
    for (; *quotes != NULL; quotes++) {
        size_t quote = strlen(*quotes);
        if (quote > longest && quote < len && memcmp(id + len - quote, *quotes, quote) == 0)
            longest = quote;
    }
    *base_len = len - longest;
    return longest > 0;
}

bool twi_symbol_of_joined(const char *id, size_t len, char separator, const twi_code *codes, twi_text *symbol)
{
    twi_name rest = {id, len};
    twi_name base = take_until(&rest, separator);
    if (base.len == 0 || rest.len == 0 || memchr(rest.text, separator, rest.len) != NULL)
        return false;
    base = twi_code_unify(codes, base.text, base.len);
    twi_name quote = twi_code_unify(codes, rest.text, rest.len);
    twi_text_bytes(symbol, base.text, base.len);
    twi_text_put(symbol, "/");
    twi_text_bytes(symbol, quote.text, quote.len);
    return true;
}

bool twi_joined_of_symbol(const char *symbol, size_t len, const char *separator, const twi_code *codes, twi_text *id)
{
    twi_symbol_parts parts;
    if (!twi_symbol_split(symbol, len, &parts) || parts.settle.len > 0)
        return false;
    twi_name base = twi_code_of_venue(codes, parts.base), quote = twi_code_of_venue(codes, parts.quote);
    twi_text_bytes(id, base.text, base.len);
    twi_text_put(id, separator);
    twi_text_bytes(id, quote.text, quote.len);
    return true;
}

/* ---- filling a tw_market ---- */

void twi_market_copy(char *to, size_t cap, const char *text, size_t len)
{
    if (len > cap - 1)
        len = cap - 1;
    if (len > 0) /* text may be NULL else */
        memcpy(to, text, len);
    to[len] = 0;
}

void twi_market_code(char *to, size_t cap, const twi_code *codes, twi_json_slice slice)
{
    twi_name name = twi_code_unify(codes, slice.text, slice.len);
    twi_market_copy(to, cap, name.text, name.len);
}

tw_decimal twi_market_tick(int64_t digits)
{
    enum { DIGITS_MAX = 30 };
    if (digits < -18 || digits > DIGITS_MAX)
        return (tw_decimal){0};
    return (tw_decimal){.mantissa = 1, .exponent = (int8_t)-digits};
}

static void put_two(twi_text *text, unsigned number)
{
    if (number < 10)
        twi_text_put(text, "0");
    twi_text_number(text, number);
}

static void put_expiry(twi_text *text, int64_t expiry_ns)
{
    int year;
    unsigned month, day;
    twi_date_from_days(expiry_ns / TWI_NS_PER_S / NS_DAYS_SECONDS, &year, &month, &day);
    twi_text_put(text, "-");
    put_two(text, (unsigned)year % 100);
    put_two(text, month);
    put_two(text, day);
}

static void put_decimal(twi_text *text, tw_decimal value)
{
    char digits[TW_DECIMAL_TEXT_MAX];
    while (value.exponent < 0 && value.mantissa % 10 == 0 && value.mantissa != 0) {
        value.mantissa /= 10;
        value.exponent++;
    }
    twi_text_bytes(text, digits, tw_decimal_format(value, digits));
}

void twi_market_name_symbol(tw_market *market)
{
    twi_text text = twi_text_over(market->symbol, sizeof(market->symbol) - 1);
    twi_text_put(&text, market->base);
    twi_text_put(&text, "/");
    twi_text_put(&text, market->quote);
    if (market->type != TW_MARKET_SPOT) {
        twi_text_put(&text, ":");
        twi_text_put(&text, market->settle);
    }
    if ((market->type == TW_MARKET_FUTURE || market->type == TW_MARKET_OPTION) && market->expiry_ns > 0)
        put_expiry(&text, market->expiry_ns);
    if (market->type == TW_MARKET_OPTION) {
        twi_text_put(&text, "-");
        put_decimal(&text, market->strike);
        twi_text_put(&text, market->option_call ? "-C" : "-P");
    }
    market->symbol[text.overflow ? 0 : text.len] = 0;
}

tw_status twi_market_request(const tw_feed_config *config, const char *rest_url, const char *path, uint32_t page,
                             tw_request *request)
{
    if (page > 0)
        return TW_EMPTY;
    *request = (tw_request){.kind = TW_REQUEST_MARKETS};
    twi_text url = twi_text_over(request->url, sizeof(request->url));
    twi_text_put(&url, config->rest_url != NULL ? config->rest_url : rest_url);
    twi_text_put(&url, path);
    return twi_text_end(&url) ? TW_OK : TW_TOO_BIG;
}

static void read_list(twi_json *json, twi_market_reader read, tw_market_fn fn, void *owner)
{
    twi_json_enter_array(json);
    while (twi_json_next_item(json))
        read(json, fn, owner);
}

tw_status twi_market_list(const uint8_t *body, size_t body_len, const char *member, twi_market_reader read,
                          tw_market_fn fn, void *owner)
{
    twi_json json;
    twi_json_slice key;
    twi_json_init(&json, body, body_len);
    if (member == NULL) {
        read_list(&json, read, fn, owner);
        return twi_json_end(&json);
    }
    twi_json_enter_object(&json);
    while (twi_json_next_member(&json, &key)) {
        if (twi_json_equal(key, member, strlen(member)))
            read_list(&json, read, fn, owner);
        else
            twi_json_skip(&json);
    }
    return twi_json_end(&json);
}
