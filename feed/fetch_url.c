/* fetch_url.c - fills URL templates; see fetch.h. */
#include "feed/fetch.h"
#include "feed/times.h"

enum { SECONDS_PER_DAY = 86400, KEY_MAX = 16 };

/* What the placeholders mean for one query; times of 0 are not known. */
typedef struct url_values {
    const twi_fetch *fetch;
    const twi_fetch_query *query;
    const twi_fetch_timeframe *timeframe;
    uint32_t limit; /* 0: none */
    int64_t since_ns, from_ns, until_ns;
} url_values;

const twi_fetch_timeframe *twi_fetch_timeframe_find(const twi_fetch *fetch, const char *name)
{
    const twi_fetch_timeframe *timeframe = fetch->timeframes;
    for (; name != NULL && timeframe != NULL && timeframe->name != NULL; timeframe++) {
        if (strcmp(timeframe->name, name) == 0)
            return timeframe;
    }
    return NULL;
}

/* ---- values ---- */

static bool is_unreserved(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || strchr("-._~:", c) != NULL;
}

/* Ids come from the venue's market list, hence from a network: nothing of them may act as URL syntax. */
static void put_encoded(twi_text *url, const char *name, size_t len, bool lower)
{
    static const char hex[] = "0123456789ABCDEF";
    for (size_t i = 0; i < len; i++) {
        char c = lower && name[i] >= 'A' && name[i] <= 'Z' ? (char)(name[i] | 0x20) : name[i];
        char escape[3] = {'%', hex[(uint8_t)c >> 4], hex[(uint8_t)c & 15]};
        if (c != 0 && is_unreserved(c))
            twi_text_bytes(url, &c, 1);
        else
            twi_text_bytes(url, escape, sizeof(escape));
    }
}

static void put_code(twi_text *url, const twi_fetch *fetch, const char *unified)
{
    twi_name name = twi_code_of_venue(fetch->codes, (twi_name){unified, strlen(unified)});
    put_encoded(url, name.text, name.len, false);
}

static void put_padded(twi_text *url, unsigned value, unsigned width)
{
    char digits[8];
    for (unsigned i = width; i > 0; i--, value /= 10)
        digits[i - 1] = (char)('0' + value % 10);
    twi_text_bytes(url, digits, width);
}

static void put_iso(twi_text *url, int64_t ns)
{
    int year;
    unsigned month, day;
    int64_t seconds = ns / TWI_NS_PER_S;
    unsigned of_day = (unsigned)(seconds % SECONDS_PER_DAY);
    twi_date_from_days(seconds / SECONDS_PER_DAY, &year, &month, &day);
    put_padded(url, (unsigned)year, 4);
    twi_text_put(url, "-");
    put_padded(url, month, 2);
    twi_text_put(url, "-");
    put_padded(url, day, 2);
    twi_text_put(url, "T");
    put_padded(url, of_day / 3600, 2);
    twi_text_put(url, ":");
    put_padded(url, of_day / 60 % 60, 2);
    twi_text_put(url, ":");
    put_padded(url, of_day % 60, 2);
    twi_text_put(url, ".");
    put_padded(url, (unsigned)(ns % TWI_NS_PER_S / TWI_NS_PER_MS), 3);
    twi_text_put(url, "Z");
}

static const char *category_of(const url_values *values)
{
    const tw_market *market = values->query->market;
    if (values->fetch->categories == NULL)
        return NULL;
    if (market->type == TW_MARKET_SPOT)
        return values->fetch->categories[TWI_CATEGORY_SPOT];
    if (market->type == TW_MARKET_OPTION)
        return values->fetch->categories[TWI_CATEGORY_OPTION];
    return values->fetch->categories[market->inverse ? TWI_CATEGORY_INVERSE : TWI_CATEGORY_LINEAR];
}

/* "since_ms": the time that its first word names, in the unit that its second word names. */
static bool put_time(const url_values *values, const char *key, twi_text *url)
{
    static const struct {
        const char *word;
        int64_t unit_ns;
    } units[] = {{"s", TWI_NS_PER_S}, {"ms", TWI_NS_PER_MS}, {"ns", 1}, {"iso", 0}};
    const char *unit = strchr(key, '_');
    int64_t ns = 0;
    if (unit == NULL)
        return false;
    size_t len = (size_t)(unit++ - key);
    for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++) {
        if (strcmp(unit, units[i].word) != 0)
            continue;
        if (len == 5 && memcmp(key, "since", len) == 0)
            ns = values->since_ns;
        else if (len == 6 && memcmp(key, "before", len) == 0)
            ns = values->since_ns > units[i].unit_ns ? values->since_ns - units[i].unit_ns : 0;
        else if (len == 4 && memcmp(key, "from", len) == 0)
            ns = values->from_ns;
        else if (len == 5 && memcmp(key, "until", len) == 0)
            ns = values->until_ns;
        else if (len == 3 && memcmp(key, "end", len) == 0 && values->since_ns > 0 && values->timeframe != NULL)
            ns = values->since_ns + values->timeframe->seconds * TWI_NS_PER_S;
        if (ns <= 0)
            return false;
        if (units[i].unit_ns == 0)
            put_iso(url, ns);
        else
            twi_text_number(url, (uint64_t)(ns / units[i].unit_ns));
        return true;
    }
    return false;
}

/* False: the value is not known. */
static bool put_value(const url_values *values, const char *key, twi_text *url)
{
    const tw_market *market = values->query->market;
    if (strcmp(key, "id") == 0 || strcmp(key, "lower") == 0) {
        put_encoded(url, market->id, strlen(market->id), key[0] == 'l');
    } else if (strcmp(key, "base") == 0) {
        put_code(url, values->fetch, market->base);
    } else if (strcmp(key, "quote") == 0) {
        put_code(url, values->fetch, market->quote);
    } else if (strcmp(key, "category") == 0) {
        const char *category = category_of(values);
        if (category == NULL)
            return false;
        twi_text_put(url, category);
    } else if (strcmp(key, "tf") == 0) {
        if (values->timeframe == NULL)
            return false;
        twi_text_put(url, values->timeframe->venue);
    } else if (strcmp(key, "limit") == 0) {
        if (values->limit == 0)
            return false;
        twi_text_number(url, values->limit);
    } else {
        return put_time(values, key, url);
    }
    return true;
}

/* ---- templates ---- */

/* A template up to the end or a closing bracket; *at is moved behind it. False: a value was not known. */
static bool put_part(const url_values *values, const char **at, twi_text *url)
{
    bool known = true;
    while (**at != 0 && **at != ']') {
        char c = *(*at)++;
        if (c == '[') {
            twi_text before = *url;
            if (!put_part(values, at, url))
                *url = before;
            *at += **at == ']';
        } else if (c == '{') {
            char key[KEY_MAX] = {0};
            for (size_t len = 0; **at != 0 && **at != '}'; (*at)++) {
                if (len < sizeof(key) - 1)
                    key[len++] = **at;
            }
            *at += **at == '}';
            known = put_value(values, key, url) && known;
        } else {
            twi_text_bytes(url, &c, 1);
        }
    }
    return known;
}

static uint32_t limit_of(const twi_fetch_call *call, uint32_t limit, uint32_t limit_max)
{
    if (limit == 0)
        limit = call->limit_default;
    if (limit == 0)
        return 0;
    if (call->choices[0] != 0) {
        uint32_t last = 0;
        for (size_t i = 0; i < TWI_FETCH_CHOICE_COUNT && call->choices[i] != 0; i++) {
            last = call->choices[i];
            if (last >= limit)
                return last;
        }
        return (call->flags & TWI_FETCH_OMIT_OVER) != 0 ? 0 : last;
    }
    return limit_max != 0 && limit > limit_max ? limit_max : limit;
}

static bool takes_since_path(const twi_fetch_call *call, const twi_fetch_query *query,
                             const twi_fetch_timeframe *timeframe)
{
    if (call->path_since == NULL || query->since_ns <= 0)
        return false;
    if (call->recent_count == 0 || timeframe == NULL)
        return true;
    int64_t reach_ns = (int64_t)call->recent_count * timeframe->seconds * TWI_NS_PER_S;
    return query->since_ns < query->now_ns - reach_ns;
}

tw_error_class twi_fetch_url(const twi_fetch *fetch, twi_fetch_kind kind, const twi_fetch_query *query, twi_text *url)
{
    const twi_fetch_call *call = &fetch->calls[kind];
    url_values values = {.fetch = fetch, .query = query, .since_ns = query->since_ns, .until_ns = query->now_ns};
    if (kind == TWI_FETCH_OHLCV) {
        values.timeframe = twi_fetch_timeframe_find(fetch, query->timeframe);
        if (values.timeframe == NULL)
            return TW_ERROR_NOT_SUPPORTED;
    }
    if (call->path == NULL)
        return TW_ERROR_NOT_SUPPORTED;
    bool other = takes_since_path(call, query, values.timeframe);
    values.limit =
        limit_of(call, query->limit, other && call->limit_max_since != 0 ? call->limit_max_since : call->limit_max);
    if (values.timeframe != NULL) {
        int64_t range_ns = (int64_t)values.limit * values.timeframe->seconds * TWI_NS_PER_S;
        values.from_ns = query->since_ns > 0 ? query->since_ns : query->now_ns - range_ns;
        if (query->since_ns > 0 && query->since_ns + range_ns < query->now_ns)
            values.until_ns = query->since_ns + range_ns;
    }
    const char *at = other ? call->path_since : call->path;
    twi_text_put(url, query->rest_url != NULL ? query->rest_url : fetch->rest_url);
    if (!put_part(&values, &at, url))
        return TW_ERROR_NOT_SUPPORTED; /* a value without which the venue cannot be asked */
    return twi_text_end(url) ? TW_ERROR_NONE : TW_ERROR_BAD_REQUEST;
}
