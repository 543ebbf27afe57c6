/* engine.c - include/tickwire/engine.h: a runtime, its configuration and its log behind one handle.
 *
 * Thread:    as the header says; the state below is written by open, start, stop and close only.
 * Non-goals: anything that a process has only once: signals, limits, stdout. Those are main's. */
#include "tickwire/engine.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/assert.h"
#include "engine/library/builtin.h"
#include "engine/library/descriptors.h"
#include "engine/library/environment.h"
#include "engine/stats/exposition.h"

enum { BUILTIN_CODECS = 2 };
_Static_assert(TW_ENGINE_CODECS_MAX + BUILTIN_CODECS == TWI_CODECS_MAX, "the header says how many there is place for");

typedef enum engine_state { STATE_OPEN, STATE_RUNNING, STATE_STOPPED } engine_state;

struct tw_engine {
    twi_config *config;
    twi_logger logger;
    twi_runtime_parts parts;
    twi_runtime_source *sources; /* the caller's, copied */
    const tw_feed_ops **venues;  /* likewise */
    twi_runtime *runtime;
    engine_state state;
    pthread_t thread; /* that opened it */
    uint8_t stepped;
    uint8_t has_feeds;
    tw_log_fn log;
    void *log_owner;
};

TWI_PRINTF(4, 5)
static tw_status refuse(char *error, size_t error_cap, tw_status status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(error, error_cap, format, args);
    va_end(args);
    return status;
}

void tw_engine_options_init(tw_engine_options *options, size_t size)
{
    tw_engine_options initial = {.size = size, .parts = TW_ENGINE_FEEDS | TW_ENGINE_SERVER};
    memcpy(options, &initial, size < sizeof initial ? size : sizeof initial);
}

/* The caller's options as this library knows them: members that an older caller has not heard of are 0. */
static tw_status take_options(const tw_engine_options *given, tw_engine_options *options, char *error, size_t error_cap)
{
    enum { SIZE_FIRST_VERSION = offsetof(tw_engine_options, log_owner) + sizeof(void *) };
    *options = (tw_engine_options){0};
    if (given->size < SIZE_FIRST_VERSION || given->size > sizeof *options)
        return refuse(error, error_cap, TW_BAD_ARGUMENT,
                      "options.size is %zu, this library knows %d to %zu: call tw_engine_options_init(&options, sizeof "
                      "options), and do not compile with a newer tickwire/engine.h than the library",
                      given->size, SIZE_FIRST_VERSION, sizeof *options);
    memcpy(options, given, given->size);
    return TW_OK;
}

/* ---- open ---- */

static tw_status check_codec(const tw_engine_options *options, uint32_t index, char *error, size_t error_cap)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789_-";
    const tw_codec_ops *codec = options->codecs[index];
    if (codec == NULL || codec->name == NULL || codec->bound == NULL || codec->encode == NULL)
        return refuse(error, error_cap, TW_BAD_ARGUMENT, "codecs[%u] lacks name, bound or encode", index);
    if (codec->abi != TW_CODEC_ABI)
        return refuse(error, error_cap, TW_BAD_ARGUMENT,
                      "codec \"%s\" has abi %u, this library wants %d: compile it anew", codec->name, codec->abi,
                      TW_CODEC_ABI);
    if (codec->name[0] == '\0' || codec->name[strspn(codec->name, allowed)] != '\0')
        return refuse(error, error_cap, TW_BAD_ARGUMENT, "codec \"%s\": a name is made of a-z 0-9 _ -", codec->name);
    if (codec->ws_opcode != 1 && codec->ws_opcode != 2)
        return refuse(error, error_cap, TW_BAD_ARGUMENT, "codec \"%s\": ws_opcode is %u; 1 is text, 2 binary",
                      codec->name, codec->ws_opcode);
    return TW_OK;
}

static tw_status add_codecs(tw_engine *engine, const tw_engine_options *options, char *error, size_t error_cap)
{
    twi_runtime_parts *parts = &engine->parts;
    if (options->codec_count > TWI_CODECS_MAX - parts->codec_count)
        return refuse(error, error_cap, TW_BAD_ARGUMENT, "codec_count is %u, there is place for %u of your own",
                      options->codec_count, TWI_CODECS_MAX - parts->codec_count);
    for (uint32_t i = 0; i < options->codec_count; i++) {
        tw_status status = check_codec(options, i, error, error_cap);
        if (status != TW_OK)
            return status;
        for (uint32_t k = 0; k < parts->codec_count; k++)
            if (strcmp(parts->codecs[k]->name, options->codecs[i]->name) == 0)
                return refuse(error, error_cap, TW_BAD_ARGUMENT, "there is a codec \"%s\" already: use another name",
                              options->codecs[i]->name);
        parts->codecs[parts->codec_count++] = options->codecs[i];
    }
    return TW_OK;
}

static tw_status add_sources(tw_engine *engine, const tw_engine_options *options, char *error, size_t error_cap)
{
    if (options->source_count > TWI_FEED_COUNT_MAX)
        return refuse(error, error_cap, TW_BAD_ARGUMENT, "source_count is %u, %d are allowed", options->source_count,
                      TWI_FEED_COUNT_MAX);
    engine->sources = calloc(options->source_count + 1, sizeof *engine->sources);
    if (engine->sources == NULL)
        return refuse(error, error_cap, TW_NO_MEMORY, "no memory for %u sources", options->source_count);
    for (uint32_t i = 0; i < options->source_count; i++) {
        const tw_engine_source *source = &options->sources[i];
        if (source->name == NULL || source->name[0] == '\0' || source->open == NULL)
            return refuse(error, error_cap, TW_BAD_ARGUMENT, "sources[%u] lacks name or open", i);
        engine->sources[i] = (twi_runtime_source){.name = source->name, .open = source->open, .owner = source->owner};
    }
    engine->parts.sources = engine->sources;
    engine->parts.source_count = options->source_count;
    return TW_OK;
}

static tw_status add_venues(tw_engine *engine, const tw_engine_options *options, char *error, size_t error_cap)
{
    for (uint32_t i = 0; i < options->venue_count; i++) {
        const tw_feed_ops *venue = options->venues[i];
        if (venue == NULL || venue->name == NULL || venue->abi != TW_FEED_ABI)
            return refuse(error, error_cap, TW_BAD_ARGUMENT, "venues[%u] lacks its name, or its abi is not %d", i,
                          TW_FEED_ABI);
        if (tw_feed_find(venue->name, strlen(venue->name)) != NULL)
            return refuse(error, error_cap, TW_BAD_ARGUMENT, "there is a venue \"%s\" already: use another name",
                          venue->name);
    }
    size_t bytes = options->venue_count * sizeof *engine->venues;
    engine->venues = malloc(bytes + 1);
    if (engine->venues == NULL)
        return refuse(error, error_cap, TW_NO_MEMORY, "no memory for %u venues", options->venue_count);
    if (bytes > 0)
        memcpy(engine->venues, options->venues, bytes);
    engine->parts.venues = (twi_venue_list){.ops = engine->venues, .count = options->venue_count};
    return TW_OK;
}

/* The settings as flags; *flags is one block of memory. */
static tw_status make_flags(const tw_engine_options *options, char ***flags, char *error, size_t error_cap)
{
    size_t bytes = (options->setting_count + 1) * sizeof(char *);
    for (uint32_t i = 0; i < options->setting_count; i++) {
        const char *setting = options->settings[i];
        if (setting == NULL || strchr(setting, '=') == NULL)
            return refuse(error, error_cap, TW_BAD_ARGUMENT, "settings[%u] = \"%.100s\": write section.key=value", i,
                          setting != NULL ? setting : "");
        bytes += strlen(setting) + sizeof "--";
    }
    *flags = malloc(bytes);
    if (*flags == NULL)
        return refuse(error, error_cap, TW_NO_MEMORY, "no memory for the settings");
    char *text = (char *)(*flags + options->setting_count + 1), *end = (char *)*flags + bytes;
    for (uint32_t i = 0; i < options->setting_count; i++) {
        (*flags)[i] = text;
        text += snprintf(text, (size_t)(end - text), "--%s", options->settings[i]) + 1;
    }
    return TW_OK;
}

static tw_status load_config(tw_engine *engine, const tw_engine_options *options, char *error, size_t error_cap)
{
    char **flags = NULL;
    tw_status status = make_flags(options, &flags, error, error_cap);
    if (status != TW_OK)
        return status;
    twi_config_inputs inputs = {
        .path = options->config_path != NULL   ? options->config_path
                : options->config_text != NULL ? "config_text"
                                               : NULL,
        .environment = options->use_environment ? twi_environment() : NULL,
        .flags = (const char *const *)flags,
        .flag_count = options->setting_count,
    };
    if (options->config_text != NULL)
        status = twi_config_parse(&twi_settings_schema, &inputs, options->config_text, strlen(options->config_text),
                                  &engine->config, error, error_cap);
    else
        status = twi_config_load(&twi_settings_schema, &inputs, &engine->config, error, error_cap);
    free(flags);
    return status;
}

static tw_status check_options(const tw_engine_options *options, char *error, size_t error_cap)
{
    enum { PARTS = TW_ENGINE_FEEDS | TW_ENGINE_SERVER };
    if (options->config_path != NULL && options->config_text != NULL)
        return refuse(error, error_cap, TW_BAD_ARGUMENT,
                      "config_path and config_text are both given: give one of them");
    if ((options->parts & ~(uint32_t)PARTS) != 0)
        return refuse(error, error_cap, TW_BAD_ARGUMENT,
                      "parts is 0x%x: TW_ENGINE_FEEDS and TW_ENGINE_SERVER are known", options->parts);
    if (options->drive > TW_ENGINE_STEPPED)
        return refuse(error, error_cap, TW_BAD_ARGUMENT, "drive is %u: TW_ENGINE_THREADS or TW_ENGINE_STEPPED",
                      options->drive);
    return TW_OK;
}

static tw_status check_threads(const tw_engine_options *options, const twi_settings *settings, char *error,
                               size_t error_cap)
{
    int has_server = (options->parts & TW_ENGINE_SERVER) != 0;
    if (options->drive == TW_ENGINE_STEPPED && has_server && settings->engine.threads != 1)
        return refuse(error, error_cap, TW_BAD_ARGUMENT,
                      "engine.threads = %lld: a stepped engine is one loop; set 1, or drive = TW_ENGINE_THREADS",
                      (long long)settings->engine.threads);
    return TW_OK;
}

static void pass_on(void *owner, twi_log_level level, const char *area, const char *message)
{
    const tw_engine *engine = owner;
    engine->log(engine->log_owner, (tw_log_level)level, area, message);
}

static void say_nothing(void *owner, twi_log_level level, const char *area, const char *message)
{
    (void)owner, (void)level, (void)area, (void)message;
}

static void open_log(tw_engine *engine, const tw_engine_options *options, const twi_settings *settings)
{
    engine->log = options->log;
    engine->log_owner = options->log_owner;
    twi_logger_init(&engine->logger, -1, (twi_log_level)settings->logging.level,
                    (twi_log_format)settings->logging.format);
    twi_logger_redirect(&engine->logger, options->log != NULL ? pass_on : say_nothing, engine);
}

static void choose_parts(tw_engine *engine, const tw_engine_options *options)
{
    twi_builtin_parts(&engine->parts);
    engine->stepped = options->drive == TW_ENGINE_STEPPED;
    engine->thread = pthread_self();
    engine->parts.without_feeds = (options->parts & TW_ENGINE_FEEDS) == 0;
    engine->parts.without_server = (options->parts & TW_ENGINE_SERVER) == 0;
    engine->parts.own_threads = !engine->stepped;
    engine->has_feeds = !engine->parts.without_feeds || options->source_count > 0;
}

static tw_status open_runtime(tw_engine *engine, const tw_engine_options *options, char *error, size_t error_cap)
{
    const twi_settings *settings = twi_config_settings(engine->config);
    tw_status status = check_threads(options, settings, error, error_cap);
    if (status != TW_OK)
        return status;
    open_log(engine, options, settings);
    if (!engine->parts.without_server)
        twi_descriptors_warn(settings, &engine->logger);
    status = twi_runtime_open(settings, &engine->parts, &engine->logger, &engine->runtime, error, error_cap);
    if (status != TW_OK)
        twi_logger_fini(&engine->logger);
    return status;
}

static void engine_free(tw_engine *engine)
{
    twi_config_close(engine->config);
    free(engine->sources);
    free(engine->venues);
    free(engine);
}

tw_status tw_engine_open(const tw_engine_options *given, tw_engine **out, char *error, size_t error_cap)
{
    char unwanted[1];
    if (error == NULL || error_cap == 0)
        error = unwanted, error_cap = sizeof unwanted;
    error[0] = '\0';
    *out = NULL;
    tw_engine_options known;
    const tw_engine_options *options = &known;
    tw_status status = take_options(given, &known, error, error_cap);
    if (status == TW_OK)
        status = check_options(options, error, error_cap);
    if (status != TW_OK)
        return status;
    tw_engine *engine = calloc(1, sizeof *engine);
    if (engine == NULL)
        return refuse(error, error_cap, TW_NO_MEMORY, "no memory for the engine");
    choose_parts(engine, options);
    status = add_codecs(engine, options, error, error_cap);
    if (status == TW_OK)
        status = add_sources(engine, options, error, error_cap);
    if (status == TW_OK)
        status = add_venues(engine, options, error, error_cap);
    if (status == TW_OK)
        status = load_config(engine, options, error, error_cap);
    if (status == TW_OK)
        status = open_runtime(engine, options, error, error_cap);
    if (status != TW_OK) {
        engine_free(engine);
        return status;
    }
    *out = engine;
    return TW_OK;
}

/* ---- life ---- */

/* A stepped engine is one loop, which belongs to the thread that opened it: another one would break it silently. */
static int is_in_its_thread(const tw_engine *engine)
{
    return !engine->stepped || pthread_equal(engine->thread, pthread_self());
}

tw_status tw_engine_start(tw_engine *engine)
{
    if (engine->stepped || engine->state != STATE_OPEN)
        return TW_BAD_ARGUMENT;
    tw_status status = twi_runtime_start(engine->runtime);
    engine->state = status == TW_OK ? STATE_RUNNING : STATE_STOPPED;
    return status;
}

uint32_t tw_engine_step(tw_engine *engine, int64_t timeout_ns)
{
    if (!engine->stepped || engine->state == STATE_STOPPED)
        return 0;
    TWI_ASSERT(is_in_its_thread(engine));
    engine->state = STATE_RUNNING;
    return twi_runtime_step(engine->runtime, timeout_ns);
}

void tw_engine_stop(tw_engine *engine)
{
    if (engine->state == STATE_RUNNING) {
        TWI_ASSERT(is_in_its_thread(engine));
        twi_runtime_stop(engine->runtime);
    }
    engine->state = STATE_STOPPED;
}

void tw_engine_close(tw_engine *engine)
{
    if (engine == NULL)
        return;
    tw_engine_stop(engine);
    twi_runtime_close(engine->runtime);
    twi_logger_fini(&engine->logger);
    engine_free(engine);
}

/* ---- publishing and reading ---- */

tw_status tw_engine_sink(tw_engine *engine, tw_sink *sink)
{
    if (engine->has_feeds && !engine->stepped)
        return TW_NOT_SUPPORTED;
    *sink = tw_ring_sink(twi_runtime_ring(engine->runtime));
    return TW_OK;
}

void tw_engine_flush(tw_engine *engine)
{
    twi_runtime_flush(engine->runtime);
}

uint64_t tw_engine_backlog(const tw_engine *engine)
{
    return twi_runtime_backlog(engine->runtime);
}

tw_status tw_engine_instrument(tw_engine *engine, const char *exchange, const char *symbol, const char *venue_id,
                               uint32_t *instrument)
{
    tw_symbols *symbols = tw_ring_symbols(twi_runtime_ring(engine->runtime));
    return tw_symbols_intern(symbols, exchange, strlen(exchange), symbol, strlen(symbol), venue_id,
                             venue_id != NULL ? strlen(venue_id) : 0, instrument);
}

tw_status tw_engine_reader_open(tw_engine *engine, tw_ring_reader **reader)
{
    return tw_ring_reader_open(twi_runtime_ring(engine->runtime), reader);
}

/* ---- figures ---- */

const tw_symbols *tw_engine_symbols(const tw_engine *engine)
{
    return tw_ring_symbols(twi_runtime_ring(engine->runtime));
}

uint16_t tw_engine_port(const tw_engine *engine)
{
    return twi_runtime_port(engine->runtime);
}

const char *tw_engine_loop_name(const tw_engine *engine)
{
    return twi_runtime_loop_name(engine->runtime);
}

int tw_engine_feeds_ended(const tw_engine *engine)
{
    return twi_runtime_feeds_ended(engine->runtime);
}

tw_status tw_engine_counter_at(const tw_engine *engine, uint32_t index, tw_engine_counter *counter)
{
    if (index >= TWI_COUNTER_COUNT)
        return TW_EMPTY;
    const twi_counter_facts *facts = twi_counter_facts_of((twi_counter)index);
    twi_counter_kind kind = facts->kind;
    *counter = (tw_engine_counter){
        .name = facts->family,
        .labels = facts->labels,
        .help = facts->help,
        .value = twi_counters_sum(twi_runtime_counters(engine->runtime), (twi_counter)index),
        .is_gauge = kind == TWI_KIND_GAUGE || kind == TWI_KIND_FEED_GAUGE || kind == TWI_KIND_THREAD_GAUGE_NS,
        .is_ns = kind == TWI_KIND_THREAD_COUNTER_NS || kind == TWI_KIND_THREAD_GAUGE_NS,
    };
    return TW_OK;
}

uint64_t tw_engine_memory_bytes(const tw_engine *engine)
{
    twi_memory_report report;
    twi_runtime_memory(twi_config_settings(engine->config), &engine->parts, &report);
    return report.total_bytes;
}

/* "{feed="name"}": the sum over the blocks of that feed or thread. */
static tw_status sum_of_blocks(const twi_counters *counters, twi_counter id, const char *labels, uint64_t *value)
{
    tw_status status = TW_EMPTY;
    for (uint32_t i = 0; i < twi_counters_block_count(counters); i++) {
        const twi_cells *cells = twi_counters_block(counters, i);
        char block[TWI_BLOCK_LABEL_MAX + TWI_BLOCK_VALUE_MAX + sizeof "{=\"\"}"];
        snprintf(block, sizeof block, "{%s=\"%s\"}", cells->label, cells->value);
        if (cells->label[0] == '\0' || strcmp(block, labels) != 0)
            continue;
        *value += twi_counter_get(cells, id);
        status = TW_OK;
    }
    return status;
}

/* "family" takes all its labels, "family{labels}" those only. */
static tw_status add_counter(const twi_counters *counters, twi_counter id, const char *name, uint64_t *value)
{
    const twi_counter_facts *facts = twi_counter_facts_of(id);
    size_t family_len = strlen(facts->family), labels_len = strlen(facts->labels);
    if (strncmp(name, facts->family, family_len) != 0)
        return TW_EMPTY;
    const char *labels = name + family_len;
    if (*labels == '{' && labels_len == 0)
        return sum_of_blocks(counters, id, labels, value);
    if (*labels != '\0' && (*labels != '{' || strncmp(labels + 1, facts->labels, labels_len) != 0 ||
                            strcmp(labels + 1 + labels_len, "}") != 0))
        return TW_EMPTY;
    *value += twi_counters_sum(counters, id);
    return TW_OK;
}

tw_status tw_engine_counter_find(const tw_engine *engine, const char *name, uint64_t *value)
{
    tw_status status = TW_EMPTY;
    *value = 0;
    for (uint32_t i = 0; i < TWI_COUNTER_COUNT; i++)
        if (add_counter(twi_runtime_counters(engine->runtime), (twi_counter)i, name, value) == TW_OK)
            status = TW_OK;
    return status;
}

size_t tw_engine_metrics(const tw_engine *engine, char *out, size_t cap)
{
    size_t scratch_bytes = twi_histogram_bytes(TWI_HISTOGRAM_SUB_BITS, TWI_HISTOGRAM_VALUE_MAX);
    twi_histogram *scratch = aligned_alloc(64, (scratch_bytes + 63) / 64 * 64);
    if (scratch == NULL)
        return 0;
    twi_text text = {.out = out, .cap = cap};
    twi_histogram_init(scratch, TWI_HISTOGRAM_SUB_BITS, TWI_HISTOGRAM_VALUE_MAX);
    twi_exposition_counters(&text, twi_runtime_counters(engine->runtime));
    twi_exposition_stages(&text, twi_runtime_counters(engine->runtime), scratch);
    free(scratch);
    return text.length;
}

const char *tw_version(void)
{
    return TWI_VERSION;
}
