/* bot_worker.c - one thread of the bot: a client pool, its figures, its slow connections. */
#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"
#include "subscribers/bot.h"

#if defined(__linux__)
#include <sched.h>
#endif

#define NS_PER_MS           1000000LL
#define POLL_NS             (50 * NS_PER_MS)
#define PUBLISH_INTERVAL_NS (100 * NS_PER_MS)
#define CLOSE_TIMEOUT_NS    (2000 * NS_PER_MS)

enum { RECV_BUFFERS = 64, SYMBOLS_MAX = 16384 };

/* ---- measuring ---- */

static void dump(bot_worker *worker, const tw_message *message)
{
    if (worker->dumped == worker->run->options.dump_count)
        return;
    worker->dumped++;
    fwrite(message->bytes, 1, message->bytes_len, worker->run->dump);
    fputc('\n', worker->run->dump);
}

static void latency_record(bot_worker *worker, const tw_message *message)
{
    bot_figures *figures = &worker->figures;
    const bot_options *options = &worker->run->options;
    int64_t base_ns = options->latency_from_recv ? message->recv_ns : message->publish_ns;
    int64_t first_ns, last_ns;
    if (base_ns == 0 || message->verdict == TW_SEQUENCE_FIRST || message->is_state) {
        figures->untimed++; /* a last value that was sent again is as old as it is */
        return;
    }
    int64_t latency_ns = message->arrival_ns - base_ns;
    if (latency_ns < 0)
        figures->negative++;
    twi_histogram_record(worker->latency, latency_ns);
    if (!options->last_receiver || message->kind == TW_EVENT_LOSS)
        return;
    if (twi_last_receiver_add(&worker->last_receiver, message->topic, message->seq, latency_ns, &first_ns, &last_ns) !=
        TW_OK)
        return;
    twi_histogram_record(worker->first, first_ns);
    twi_histogram_record(worker->last, last_ns);
}

static void delay_add(bot_worker *worker, tw_client *client)
{
    uint32_t place = (worker->delay_head + worker->delay_count) % worker->slow_count;
    tw_client_pause(client);
    worker->delays[place] =
        (struct bot_delay){.client = client, .resume_ns = twi_monotonic_ns() + worker->run->options.read_delay_ns};
    worker->delay_count++;
}

/* What a slow connection receives is not measured: the question is how the others fare. */
static void slow_message(bot_worker *worker, tw_client *client)
{
    if (worker->phase == BOT_MEASURING)
        worker->figures.slow_messages++;
    if (worker->run->options.read_delay_ns == 0 || worker->resting[tw_client_index(client)])
        return;
    worker->resting[tw_client_index(client)] = true;
    delay_add(worker, client);
}

static void on_message(tw_client *client, const tw_message *message, void *owner)
{
    bot_worker *worker = owner;
    bot_figures *figures = &worker->figures;
    if (TWI_UNLIKELY(worker->run->dump != NULL) && tw_client_index(client) == 0)
        dump(worker, message);
    if (TWI_UNLIKELY(tw_client_index(client) < worker->slow_count)) {
        slow_message(worker, client);
        return;
    }
    if (worker->phase != BOT_MEASURING)
        return;
    figures->messages++;
    figures->bytes += message->bytes_len;
    if (message->bytes_len < figures->bytes_min)
        figures->bytes_min = message->bytes_len;
    if (message->bytes_len > figures->bytes_max)
        figures->bytes_max = message->bytes_len;
    latency_record(worker, message);
}

/* ---- opening ---- */

static bool fail(bot_worker *worker, const char *text)
{
    snprintf(worker->failure, sizeof worker->failure, "%s", text);
    return false;
}

static bool memory_open(bot_worker *worker)
{
    worker->clients = calloc(worker->client_count, sizeof *worker->clients);
    worker->latency = twi_histogram_new();
    worker->last = twi_histogram_new();
    worker->first = twi_histogram_new();
    worker->delays = calloc(worker->slow_count + 1, sizeof *worker->delays);
    worker->resting = calloc(worker->client_count, sizeof *worker->resting);
    if (!worker->clients || !worker->latency || !worker->last || !worker->first || !worker->delays || !worker->resting)
        return fail(worker, "no memory");
    twi_last_receiver_init(&worker->last_receiver, worker->client_count - worker->slow_count);
    return true;
}

/* In the worker's own thread: a loop belongs to the thread that opened it. */
static bool pool_open(bot_worker *worker)
{
    const bot_options *options = &worker->run->options;
    tw_client_pool_options pool_options;
    tw_client_pool_options_init(&pool_options);
    pool_options.loop = options->loop;
    pool_options.client_count_max = worker->client_count;
    pool_options.topic_count_max = SYMBOLS_MAX;
    pool_options.recv_buffer_bytes = options->recv_buffer_bytes;
    pool_options.recv_buffer_count = RECV_BUFFERS;
    pool_options.decode = options->decode;
    pool_options.handshake_timeout_ns = options->connect_timeout_ns;
    if (options->connect_rate > 0) /* at least one per second and thread */
        pool_options.dials_per_second = (options->connect_rate + options->thread_count - 1) / options->thread_count;
    pool_options.callbacks.on_message = on_message;
    pool_options.owner = worker;
    tw_client_pool *pool;
    if (tw_client_pool_open(&pool_options, &pool, worker->failure, sizeof worker->failure) != TW_OK)
        return false;
    worker->pool = pool;
    snprintf(worker->loop_name, sizeof worker->loop_name, "%s", tw_client_pool_loop_name(pool));
    snprintf(worker->loop_reason, sizeof worker->loop_reason, "%s", tw_client_pool_loop_reason(pool));
    tw_client_options client_options = {.url = options->url,
                                        .codec = options->codec,
                                        .token = options->token,
                                        .subscriptions = &options->subscription,
                                        .subscription_count = options->idle ? 0 : 1,
                                        .subscribe_by_url = options->by_url,
                                        .no_reconnect = options->no_reconnect};
    for (uint32_t i = 0; i < worker->client_count; i++)
        if (tw_client_open(pool, &client_options, &worker->clients[i], worker->failure, sizeof worker->failure) !=
            TW_OK)
            return false;
    return true;
}

bool bot_worker_open(bot_worker *worker, bot_run *run, uint32_t first, uint32_t count, int core)
{
    uint32_t slow_count = run->options.slow_count;
    memset(worker, 0, sizeof *worker);
    worker->run = run;
    worker->client_count = count;
    worker->core = core;
    worker->figures.bytes_min = UINT32_MAX;
    if (slow_count > first)
        worker->slow_count = slow_count - first < count ? slow_count - first : count;
    pthread_mutex_init(&worker->lock, NULL);
    return memory_open(worker);
}

/* ---- slow connections ---- */

static void delays_end(bot_worker *worker, int64_t now_ns)
{
    while (worker->delay_count > 0 && worker->delays[worker->delay_head].resume_ns <= now_ns) {
        tw_client *client = worker->delays[worker->delay_head].client;
        worker->delay_head = (worker->delay_head + 1) % worker->slow_count;
        worker->delay_count--;
        worker->resting[tw_client_index(client)] = false;
        tw_client_resume(client);
    }
}

static void stall_step(bot_worker *worker, int64_t now_ns)
{
    const bot_options *options = &worker->run->options;
    if (options->stall_after_ns < 0 || worker->phase != BOT_MEASURING || worker->stall_over)
        return;
    int64_t since_ns = now_ns - worker->measure_begin_ns;
    if (!worker->stalled && since_ns >= options->stall_after_ns) {
        worker->stalled = true;
        for (uint32_t i = 0; i < worker->slow_count; i++)
            tw_client_pause(worker->clients[i]);
    }
    if (worker->stalled && options->stall_for_ns > 0 && since_ns >= options->stall_after_ns + options->stall_for_ns) {
        worker->stall_over = true;
        for (uint32_t i = 0; i < worker->slow_count; i++)
            tw_client_resume(worker->clients[i]);
    }
}

static int64_t sleep_ns(const bot_worker *worker, int64_t now_ns)
{
    if (worker->run->options.spin)
        return 0;
    if (worker->delay_count == 0)
        return POLL_NS;
    int64_t wait_ns = worker->delays[worker->delay_head].resume_ns - now_ns;
    return wait_ns < 1 ? 1 : wait_ns < POLL_NS ? wait_ns : POLL_NS;
}

/* ---- the thread ---- */

static void figures_take(bot_worker *worker)
{
    bot_figures *figures = &worker->figures;
    if (worker->run->options.shm) {
        bot_shm_figures(worker);
        return;
    }
    tw_client_pool_stats(worker->pool, &figures->stats);
    figures->ready_count = tw_client_pool_count(worker->pool, TW_CLIENT_READY);
    if (worker->run->options.raw || worker->run->options.idle)
        figures->ready_count += tw_client_pool_count(worker->pool, TW_CLIENT_OPEN);
    figures->closed_count = tw_client_pool_count(worker->pool, TW_CLIENT_CLOSED);
    figures->last_incomplete = worker->last_receiver.incomplete;
    figures->last_late = worker->last_receiver.late;
}

static void figures_publish(bot_worker *worker)
{
    figures_take(worker);
    pthread_mutex_lock(&worker->lock);
    worker->published = worker->figures;
    pthread_mutex_unlock(&worker->lock);
}

void bot_worker_figures(bot_worker *worker, bot_figures *figures)
{
    pthread_mutex_lock(&worker->lock);
    *figures = worker->published;
    pthread_mutex_unlock(&worker->lock);
}

static void phase_step(bot_worker *worker, int64_t now_ns)
{
    bot_phase phase = (bot_phase)atomic_load_explicit(&worker->run->phase, memory_order_acquire);
    if (phase == worker->phase)
        return;
    if (phase == BOT_MEASURING)
        worker->measure_begin_ns = now_ns;
    if (worker->phase == BOT_MEASURING) {
        worker->measure_end_ns = now_ns;
        worker->figures.measured_ns = now_ns - worker->measure_begin_ns;
    }
    worker->phase = phase;
}

static void errors_take(bot_worker *worker)
{
    uint64_t count;
    const char *name;
    if (!worker->pool)
        return;
    while (worker->error_count < BOT_ERRORS_MAX &&
           (name = tw_client_pool_error(worker->pool, worker->error_count, &count)) != NULL) {
        bot_error *error = &worker->errors[worker->error_count++];
        snprintf(error->name, sizeof error->name, "%s", name);
        error->count = count;
    }
}

/* Says goodbye, so that the server does not have to find out. */
static void clients_close(bot_worker *worker)
{
    int64_t deadline_ns = twi_monotonic_ns() + CLOSE_TIMEOUT_NS;
    if (!worker->pool)
        return;
    for (uint32_t i = 0; i < worker->client_count; i++) {
        tw_client_resume(worker->clients[i]);
        tw_client_close(worker->clients[i]);
    }
    while (tw_client_pool_count(worker->pool, TW_CLIENT_CLOSED) < worker->client_count &&
           twi_monotonic_ns() < deadline_ns)
        tw_client_pool_poll(worker->pool, POLL_NS);
}

static void pin(int core)
{
#if defined(__linux__)
    cpu_set_t set;
    if (core < 0)
        return;
    CPU_ZERO(&set);
    CPU_SET((size_t)core, &set);
    if (sched_setaffinity(0, sizeof set, &set) != 0)
        fprintf(stderr, "bot: cannot pin to core %d\n", core);
#else
    (void)core; /* no such call: the scheduler decides */
#endif
}

static void run(bot_worker *worker)
{
    int64_t publish_ns = 0;
    while (worker->phase != BOT_ENDING) {
        int64_t now_ns = twi_monotonic_ns();
        phase_step(worker, now_ns);
        stall_step(worker, now_ns);
        delays_end(worker, now_ns);
        if (now_ns >= publish_ns) {
            figures_publish(worker);
            publish_ns = now_ns + PUBLISH_INTERVAL_NS;
        }
        if (worker->run->options.shm)
            bot_shm_poll(worker, sleep_ns(worker, now_ns));
        else
            tw_client_pool_poll(worker->pool, sleep_ns(worker, now_ns));
    }
}

void *bot_worker_main(void *argument)
{
    bot_worker *worker = argument;
    pin(worker->core);
    if (worker->run->options.shm ? bot_shm_open(worker) : pool_open(worker)) {
        run(worker);
        figures_publish(worker); /* what closing does is not part of it */
        errors_take(worker);
        clients_close(worker);
    } else {
        atomic_store(&worker->failed, true);
    }
    bot_shm_close(worker);
    if (worker->pool)
        tw_client_pool_close(worker->pool);
    worker->pool = NULL;
    return NULL;
}

void bot_worker_close(bot_worker *worker)
{
    twi_last_receiver_free(&worker->last_receiver);
    pthread_mutex_destroy(&worker->lock);
    free(worker->latency);
    free(worker->last);
    free(worker->first);
    free(worker->delays);
    free(worker->resting);
    free(worker->clients);
}
