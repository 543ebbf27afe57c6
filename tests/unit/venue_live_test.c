/* venue_live_test.c - the live half of every venue: what it says, what it makes of the answers, how it repairs.
 *
 * Vectors:  tests/vectors/venues/<venue>.txt, one per adapter, lines of a small language:
 *             case NAME                      a fresh adapter
 *             feed symbols=A,B channels=trade,quote,book depth=N levels=N max=N markets=N backlog=N stream=URL rest=URL
 *             feed-STATUS ...                the configuration is refused with this status
 *             links N · dial LINK URL|again  how many connections, and where to
 *             up [LINK] · down [LINK [REASON]] · on LINK     the connection opens, ends; later frames come on LINK
 *             - TEXT · -gap TEXT · -malformed TEXT · -relink TEXT       a frame comes, with this result
 *             gzip                           frames are packed from here on
 *             answer STATUS [retry=S] BODY   the oldest request is answered; -malformed etc. as above
 *             lose                           ... never
 *             wait 300ms|5s|10m              time goes by
 *             watch SYMBOL CHANNELS · unwatch SYMBOL CHANNELS
 *             markets BODY · page N URL      a market list is read; where it is
 *           and what is expected; whatever comes and is not expected fails the case:
 *             > EVENT · < FRAME · ? GET URL · * MARKET       the next of each kind, exactly; "..." at the end: a prefix
 *             = SYMBOL STATE BIDS | ASKS     the book that a subscriber has
 *             stats SYMBOL key=N ... · count key=N ... · error TEXT · limits key=N ...
 *           A line that begins with "+" goes on with the one before it; "#" begins a comment. */
#include "tests/unit/venue_stage.h"

#include <ctype.h>

enum { TEXT_BYTES_MAX = 1 << 16, NAMES_MAX = 64, PATH_BYTES_MAX = 512, VENUE_COUNT = 16 };

typedef struct script {
    const char *venue, *path;
    FILE *file;
    uint32_t line, next_line; /* of the command, of the file */
    char text[TEXT_BYTES_MAX], ahead[TEXT_BYTES_MAX];
    bool has_ahead, open;
    uint32_t link, cases;
    char case_name[128];
    stage stage;
} script;

#define FAIL(s, ...)                                                                                                   \
    do {                                                                                                               \
        print_error("%s:%u (%s): ", (s)->path, (s)->line, (s)->case_name);                                             \
        fail_msg(__VA_ARGS__);                                                                                         \
    } while (0)

/* ---- words ---- */

/* Cuts the first word off; "" if there is none. */
static char *take_word(char **rest)
{
    char *word = *rest;
    size_t len = strcspn(word, " ");
    *rest = word + len;
    while (**rest == ' ')
        *(*rest)++ = 0;
    return word;
}

static uint64_t number_of(script *s, const char *text)
{
    char *end;
    unsigned long long number = strtoull(text, &end, 10);
    if (end == text || *end != 0)
        FAIL(s, "%s is not a number", text);
    return number;
}

static int64_t time_of(script *s, const char *text)
{
    char *end;
    int64_t number = (int64_t)strtoull(text, &end, 10);
    if (strcmp(end, "ms") == 0)
        return number * TWI_NS_PER_MS;
    if (strcmp(end, "s") == 0)
        return number * TWI_NS_PER_S;
    if (strcmp(end, "m") == 0)
        return number * 60 * TWI_NS_PER_S;
    FAIL(s, "%s is not a time", text);
    return 0;
}

static uint32_t channels_of(script *s, char *text)
{
    uint32_t channels = 0;
    for (char *next; text != NULL; text = next) {
        uint32_t channel = TW_CHANNEL_TRADE;
        next = strchr(text, ',');
        if (next != NULL)
            *next++ = 0;
        while (channel <= TW_CHANNEL_BOOK && strcmp(tw_channel_name((uint16_t)channel), text) != 0)
            channel++;
        if (channel > TW_CHANNEL_BOOK)
            FAIL(s, "no channel %s", text);
        channels |= 1u << channel;
    }
    return channels;
}

/* "-gap", "answer-malformed": what the call must give. */
static tw_status status_of(script *s, const char *word)
{
    static const struct {
        const char *name;
        tw_status status;
    } names[] = {{"", TW_OK},
                 {"-gap", TW_GAP},
                 {"-malformed", TW_MALFORMED},
                 {"-relink", TW_RELINK},
                 {"-unavailable", TW_UNAVAILABLE},
                 {"-bad_symbol", TW_BAD_SYMBOL},
                 {"-not_supported", TW_NOT_SUPPORTED},
                 {"-bad_config", TW_BAD_CONFIG},
                 {"-full", TW_FULL}};
    const char *dash = strchr(word, '-');
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        if (strcmp(dash != NULL ? dash : "", names[i].name) == 0)
            return names[i].status;
    }
    FAIL(s, "no result %s", word);
    return TW_OK;
}

static void check_status(script *s, tw_status wanted, tw_status got)
{
    if (wanted != got)
        FAIL(s, "the result is %s, not %s", tw_status_name(got), tw_status_name(wanted));
}

static uint32_t instrument_of(script *s, const char *symbol)
{
    const char *name = s->stage.ops->name;
    uint32_t instrument = tw_symbols_find(s->stage.symbols, name, strlen(name), symbol, strlen(symbol));
    if (instrument == TW_INSTRUMENT_NONE)
        FAIL(s, "no symbol %s", symbol);
    return instrument;
}

/* ---- expectations ---- */

static void expect_line(script *s, lines *queue, const char *what, const char *wanted)
{
    const char *got = lines_take(queue);
    size_t len = strlen(wanted);
    if (got == NULL)
        FAIL(s, "no %s; expected\n  %s", what, wanted);
    bool prefix = len > 3 && strcmp(wanted + len - 3, "...") == 0;
    if (prefix ? strncmp(got, wanted, len - 3) != 0 : strcmp(got, wanted) != 0)
        FAIL(s, "%s\n  expected %s\n  got      %s", what, wanted, got);
}

static void expect_none(script *s, lines *queue, const char *what)
{
    const char *got = lines_take(queue);
    if (got != NULL)
        FAIL(s, "unexpected %s before this line: %s", what, got);
    lines_clear(queue);
}

static void expect_nothing_left(script *s)
{
    expect_none(s, &s->stage.events, "event");
    expect_none(s, &s->stage.outputs, "frame");
    expect_none(s, &s->stage.requests, "request");
    expect_none(s, &s->stage.markets, "market");
}

typedef struct figure {
    const char *key;
    uint64_t value;
} figure;

/* key=N ...: every one must be so. */
static void expect_figures(script *s, char *rest, const figure *figures)
{
    while (*rest != 0) {
        char *key = take_word(&rest), *value = strchr(key, '=');
        const figure *each = figures;
        if (value == NULL)
            FAIL(s, "%s is not KEY=NUMBER", key);
        *value++ = 0;
        while (each->key != NULL && strcmp(each->key, key) != 0)
            each++;
        if (each->key == NULL)
            FAIL(s, "no figure %s", key);
        if (each->value != number_of(s, value))
            FAIL(s, "%s is %llu, not %s", key, (unsigned long long)each->value, value);
    }
}

static void expect_stats(script *s, char *rest)
{
    uint32_t instrument = instrument_of(s, take_word(&rest));
    tw_feed_symbol_stats stats = {.instrument = TW_INSTRUMENT_NONE};
    for (uint32_t i = 0; stats.instrument != instrument; i++)
        assert_int_equal(s->stage.ops->symbol_stats(s->stage.state, i, &stats), TW_OK);
    figure figures[] = {{"trades", stats.trades},
                        {"quotes", stats.quotes},
                        {"snapshots", stats.snapshots},
                        {"deltas", stats.deltas},
                        {"applied", stats.applied},
                        {"stale", stats.stale},
                        {"gaps", stats.gaps},
                        {"crossed", stats.crossed},
                        {"checksums", stats.checksums},
                        {"equal", stats.checksums_equal},
                        {"last", stats.last_seq},
                        {"dropped", stats.levels_dropped},
                        {NULL, 0}};
    expect_figures(s, rest, figures);
}

static void expect_counts(script *s, char *rest)
{
    tw_feed_stats stats;
    s->stage.ops->stats(s->stage.state, &stats);
    figure figures[] = {{"messages", stats.messages},
                        {"malformed", stats.malformed},
                        {"ignored", stats.ignored},
                        {"errors", stats.errors},
                        {"duplicates", stats.duplicates},
                        {"backlog_dropped", stats.backlog_dropped},
                        {NULL, 0}};
    expect_figures(s, rest, figures);
}

static void expect_error(script *s, const char *text)
{
    tw_feed_stats stats;
    s->stage.ops->stats(s->stage.state, &stats);
    if (strcmp(stats.error_text, text) != 0)
        FAIL(s, "the error is\n  %s\nnot\n  %s", stats.error_text, text);
}

static void expect_limits(script *s, char *rest)
{
    const tw_feed_limits *limits = s->stage.ops->limits;
    figure figures[] = {{"streams", limits->streams_per_link},
                        {"dials", limits->dial_count},
                        {"dial_window_s", (uint64_t)(limits->dial_window_ns / TWI_NS_PER_S)},
                        {"age_s", (uint64_t)(limits->link_age_ns_max / TWI_NS_PER_S)},
                        {"silence_s", (uint64_t)(limits->silence_ns_max / TWI_NS_PER_S)},
                        {NULL, 0}};
    expect_figures(s, rest, figures);
}

static void expect_book(script *s, char *rest)
{
    char line[STAGE_LINE_BYTES_MAX] = "";
    stage_book(&s->stage, instrument_of(s, take_word(&rest)), line);
    if (strcmp(line, rest) != 0)
        FAIL(s, "the book\n  expected %s\n  got      %s", rest, line);
}

static void expect_dial(script *s, char *rest)
{
    tw_endpoint dial = {.url = ""};
    uint32_t link = (uint32_t)number_of(s, take_word(&rest));
    tw_status status = s->stage.ops->link_dial(s->stage.state, link, s->stage.now_ns, &dial);
    if (strcmp(rest, "again") == 0) {
        check_status(s, TW_AGAIN, status);
        stage_poll(&s->stage); /* what must be asked first */
        return;
    }
    check_status(s, TW_OK, status);
    if (strcmp(dial.url, rest) != 0)
        FAIL(s, "dials %s, not %s", dial.url, rest);
}

static void expect_page(script *s, char *rest)
{
    tw_request request = {.url = ""};
    uint32_t page = (uint32_t)number_of(s, take_word(&rest));
    tw_status status = s->stage.ops->markets_request(&(tw_feed_config){.rest_url = NULL}, page, &request);
    check_status(s, strcmp(rest, "none") == 0 ? TW_EMPTY : TW_OK, status);
    if (status == TW_OK && strcmp(request.url, rest) != 0)
        FAIL(s, "page %u is %s, not %s", page, request.url, rest);
}

/* ---- actions ---- */

static void open_feed(script *s, const char *command, char *rest)
{
    const char *names[NAMES_MAX];
    tw_feed_config config = {.symbols = names};
    while (*rest != 0) {
        char *key = take_word(&rest), *value = strchr(key, '=');
        if (value == NULL)
            FAIL(s, "%s is not KEY=VALUE", key);
        *value++ = 0;
        if (strcmp(key, "symbols") == 0) {
            for (char *next = value; next != NULL; value = next) {
                next = strchr(value, ',');
                if (next != NULL)
                    *next++ = 0;
                assert_true(config.symbol_count < NAMES_MAX);
                names[config.symbol_count++] = value;
            }
        } else if (strcmp(key, "channels") == 0) {
            config.channels = channels_of(s, value);
        } else if (strcmp(key, "stream") == 0) {
            config.stream_url = value;
        } else if (strcmp(key, "rest") == 0) {
            config.rest_url = value;
        } else {
            uint32_t number = (uint32_t)number_of(s, value);
            uint32_t *to = strcmp(key, "depth") == 0     ? &config.book_depth
                           : strcmp(key, "levels") == 0  ? &config.book_levels_max
                           : strcmp(key, "max") == 0     ? &config.symbol_count_max
                           : strcmp(key, "markets") == 0 ? &config.market_count_max
                           : strcmp(key, "backlog") == 0 ? &config.backlog_bytes
                                                         : NULL;
            if (to == NULL)
                FAIL(s, "no setting %s", key);
            *to = number;
        }
    }
    const tw_feed_ops *ops = tw_feed_find(s->venue, strlen(s->venue));
    assert_non_null(ops);
    tw_status status = stage_open(&s->stage, ops, &config);
    s->open = status == TW_OK; /* else nothing may be done with it */
    check_status(s, status_of(s, command), status);
    if (!s->open)
        stage_close(&s->stage);
}

static void write_market(void *owner, const tw_market *market)
{
    static const char *const types[] = {"spot", "swap", "future", "option"};
    char line[STAGE_LINE_BYTES_MAX] = "";
    append(line, "%s %s %s", market->symbol, market->id, types[market->type]);
    append(line, "%s%s%s", market->active ? "" : " inactive", market->linear ? " linear" : "",
           market->inverse ? " inverse" : "");
    const struct {
        const char *name;
        tw_decimal value;
    } numbers[] = {{"size", market->contract_size}, {"tick", market->price_tick}, {"step", market->amount_step},
                   {"min", market->amount_min},     {"cost", market->cost_min},   {"strike", market->strike}};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
        if (numbers[i].value.mantissa == 0)
            continue;
        append(line, " %s", numbers[i].name);
        append_decimal(line, numbers[i].value.mantissa, numbers[i].value.exponent);
    }
    lines_add(&((stage *)owner)->markets, line);
}

static void read_markets(script *s, const char *command, const char *text)
{
    size_t len = strlen(text);
    uint8_t *copy = exact_copy(text, len);
    tw_status status = s->stage.ops->markets_parse(copy, len, write_market, &s->stage);
    free(copy);
    check_status(s, status_of(s, command), status);
}

static void answer(script *s, const char *command, char *rest)
{
    int http = (int)number_of(s, take_word(&rest));
    int32_t retry = 0;
    if (strncmp(rest, "retry=", 6) == 0)
        retry = (int32_t)number_of(s, take_word(&rest) + 6);
    check_status(s, status_of(s, command), stage_answer(&s->stage, http, retry, rest, strlen(rest)));
}

static void take_down(script *s, char *rest)
{
    char *link = take_word(&rest);
    bool venue = strcmp(rest, "venue") == 0;
    stage_down(&s->stage, *link != 0 ? (uint32_t)number_of(s, link) : 0, venue ? TW_REASON_VENUE : TW_REASON_LINK_DOWN);
}

static void change_watch(script *s, bool watch, const char *command, char *rest)
{
    char *symbol = take_word(&rest);
    uint32_t channels = channels_of(s, rest);
    const tw_feed_ops *ops = s->stage.ops;
    size_t len = strlen(symbol);
    tw_status status =
        watch ? ops->watch(s->stage.state, symbol, len, channels) : ops->unwatch(s->stage.state, symbol, len, channels);
    check_status(s, status_of(s, command), status);
}

static void begin_case(script *s, const char *name)
{
    stage_close(&s->stage);
    s->open = false;
    s->link = 0;
    s->cases++;
    snprintf(s->case_name, sizeof(s->case_name), "%s", name);
}

/* True: it was a line that expects something. */
static bool expect(script *s, const char *command, char *rest)
{
    if (strcmp(command, ">") == 0)
        expect_line(s, &s->stage.events, "event", rest);
    else if (strcmp(command, "<") == 0)
        expect_line(s, &s->stage.outputs, "frame", rest);
    else if (strcmp(command, "?") == 0)
        expect_line(s, &s->stage.requests, "request", rest);
    else if (strcmp(command, "*") == 0)
        expect_line(s, &s->stage.markets, "market", rest);
    else if (strcmp(command, "=") == 0)
        expect_book(s, rest);
    else if (strcmp(command, "stats") == 0)
        expect_stats(s, rest);
    else if (strcmp(command, "count") == 0)
        expect_counts(s, rest);
    else if (strcmp(command, "error") == 0)
        expect_error(s, rest);
    else if (strcmp(command, "limits") == 0)
        expect_limits(s, rest);
    else if (strcmp(command, "links") == 0)
        assert_int_equal(s->stage.ops->link_count(s->stage.state), number_of(s, rest));
    else if (strcmp(command, "page") == 0)
        expect_page(s, rest);
    else if (strcmp(command, "dial") == 0)
        expect_dial(s, rest);
    else
        return false;
    return true;
}

static bool starts(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static void act(script *s, const char *command, char *rest)
{
    stage *st = &s->stage;
    if (starts(command, "feed"))
        open_feed(s, command, rest);
    else if (*command == '-')
        check_status(s, status_of(s, command[1] == 0 ? "" : command), stage_frame(st, s->link, rest, strlen(rest)));
    else if (starts(command, "answer"))
        answer(s, command, rest);
    else if (strcmp(command, "lose") == 0)
        st->asked_first++;
    else if (strcmp(command, "wait") == 0)
        stage_wait(st, time_of(s, rest));
    else if (strcmp(command, "up") == 0)
        stage_up(st, *rest != 0 ? (uint32_t)number_of(s, rest) : 0);
    else if (strcmp(command, "down") == 0)
        take_down(s, rest);
    else if (strcmp(command, "on") == 0)
        s->link = (uint32_t)number_of(s, rest);
    else if (strcmp(command, "gzip") == 0)
        st->gzip = true;
    else if (starts(command, "watch") || starts(command, "unwatch"))
        change_watch(s, *command == 'w', command, rest);
    else if (starts(command, "markets"))
        read_markets(s, command, rest);
    else
        FAIL(s, "no command %s", command);
    if (s->open)
        stage_poll(st);
}

static void run_line(script *s)
{
    char *rest = s->text, *command = take_word(&rest);
    if (strcmp(command, "case") == 0) {
        if (s->open)
            expect_nothing_left(s);
        begin_case(s, rest);
        return;
    }
    if (!s->open && !starts(command, "feed"))
        FAIL(s, "a case begins with feed");
    if (expect(s, command, rest))
        return;
    if (s->open)
        expect_nothing_left(s);
    act(s, command, rest);
}

/* ---- the file ---- */

static bool read_physical(script *s, char *to)
{
    while (fgets(to, TEXT_BYTES_MAX, s->file) != NULL) {
        s->next_line++;
        size_t len = strlen(to);
        while (len > 0 && isspace((unsigned char)to[len - 1]))
            to[--len] = 0;
        size_t lead = strspn(to, " ");
        memmove(to, to + lead, len - lead + 1);
        if (to[0] != 0 && to[0] != '#')
            return true;
    }
    return false;
}

/* One command with its continuations. */
static bool read_command(script *s)
{
    if (!s->has_ahead && !read_physical(s, s->ahead))
        return false;
    memcpy(s->text, s->ahead, sizeof(s->text));
    s->line = s->next_line;
    for (s->has_ahead = false; read_physical(s, s->ahead);) {
        size_t len = strlen(s->text), more = strlen(s->ahead);
        s->has_ahead = s->ahead[0] != '+';
        if (s->has_ahead)
            break;
        assert_true(len + more < TEXT_BYTES_MAX);
        memcpy(s->text + len, s->ahead + 2, more - 1);
    }
    return true;
}

static void run_venue(void **state)
{
    char path[PATH_BYTES_MAX];
    script *s = calloc(1, sizeof(*s));
    assert_non_null(s);
    s->venue = *state;
    snprintf(path, sizeof(path), "%s/tests/vectors/venues/%s.txt", TWT_SOURCE_DIR, s->venue);
    s->path = path;
    s->file = fopen(path, "r");
    if (s->file == NULL)
        fail_msg("%s is missing", path);
    while (read_command(s))
        run_line(s);
    if (s->open)
        expect_nothing_left(s);
    assert_true(s->cases > 0);
    stage_close(&s->stage);
    fclose(s->file);
    free(s);
}

int main(void)
{
    struct CMUnitTest tests[VENUE_COUNT];
    size_t count = 0;
    for (uint32_t i = 0; tw_feed_at(i) != NULL; i++) {
        assert_true(count < VENUE_COUNT);
        const char *name = tw_feed_at(i)->name;
        tests[count++] =
            (struct CMUnitTest){.name = name, .test_func = run_venue, .initial_state = (void *)(uintptr_t)name};
    }
    return _cmocka_run_group_tests("venues", tests, count, NULL, NULL);
}
