/* cases_time.c - timers, waiting and wake-ups. */
#include <pthread.h>

#include "tests/conformance/loop/cases.h"
#include "tests/conformance/loop/rig.h"

enum { TIMER_COUNT = 500 };
static const int64_t ms_ns = 1000000;
static const int64_t long_ns = 10000000000;

static twt_rig rig;

typedef struct fired_log {
    uint32_t ids[TIMER_COUNT + 8];
    int32_t results[TIMER_COUNT + 8];
    uint32_t count;
} fired_log;

typedef struct timer {
    twi_op op;
    fired_log *log;
    uint32_t id;
    int64_t due_ns;
} timer;

static timer timers[TIMER_COUNT + 8];
static fired_log fired;

static void on_timer(twi_loop *loop, twi_op *op, int32_t result, uint32_t flags)
{
    assert_int_equal(flags, 0);
    timer *self = op->owner;
    if (result == 0)
        assert_true(rig.ops->now_ns(loop) >= self->due_ns);
    self->log->results[self->log->count] = result;
    self->log->ids[self->log->count++] = self->id;
}

static void arm(uint32_t id, int64_t due_ns)
{
    timers[id] = (timer){.op = {.done = on_timer, .owner = &timers[id]}, .log = &fired, .id = id, .due_ns = due_ns};
    rig.ops->timer(rig.loop, &timers[id].op, due_ns);
}

static void open_rig(void)
{
    fired.count = 0;
    twt_rig_open(&rig, &(twi_loop_config){.sock_count_max = 4, .timer_count_max = TIMER_COUNT, .recv_buffer_count = 4});
}

static void timers_fire_in_order(void **state)
{
    (void)state;
    open_rig();
    int64_t base_ns = twt_now_ns(&rig) + ms_ns;
    for (uint32_t i = 0; i < TIMER_COUNT; i++)
        arm(i, base_ns + (int64_t)(i * 7919u % 50u) * 200000); /* many share a deadline */
    TWT_UNTIL(&rig, fired.count == TIMER_COUNT);
    for (uint32_t i = 1; i < TIMER_COUNT; i++) {
        const timer *before = &timers[fired.ids[i - 1]], *after = &timers[fired.ids[i]];
        assert_true(before->due_ns < after->due_ns || (before->due_ns == after->due_ns && before->id < after->id));
    }
    twt_rig_close(&rig);
}

static void timer_cancel(void **state)
{
    (void)state;
    open_rig();
    int64_t now_ns = twt_now_ns(&rig);
    for (uint32_t i = 0; i < 100; i++)
        arm(i, now_ns + (i % 2 ? 5 * ms_ns : long_ns) + i);
    for (uint32_t i = 0; i < 100; i += 2)
        rig.ops->timer_cancel(rig.loop, &timers[i].op);
    rig.ops->timer_cancel(rig.loop, &timers[0].op); /* a second time is nothing */
    assert_int_equal(fired.count, 0);               /* never inside the call */
    TWT_UNTIL(&rig, fired.count == 100);
    for (uint32_t i = 0; i < 100; i++)
        assert_int_equal(fired.results[i], fired.ids[i] % 2 ? 0 : TW_CANCELED);
    rig.ops->timer_cancel(rig.loop, &timers[1].op); /* fired already */
    twt_turns(&rig, 3);
    assert_int_equal(fired.count, 100);
    twt_rig_close(&rig);
}

static void timer_table_full(void **state)
{
    (void)state;
    open_rig();
    int64_t far_ns = twt_now_ns(&rig) + long_ns;
    for (uint32_t i = 0; i < TIMER_COUNT; i++)
        arm(i, far_ns);
    arm(TIMER_COUNT, far_ns);
    twt_turns(&rig, 1);
    assert_int_equal(fired.count, 1);
    assert_int_equal(fired.ids[0], TIMER_COUNT);
    assert_int_equal(fired.results[0], TW_FULL);
    twt_rig_close(&rig);
    assert_int_equal(fired.count, 1 + TIMER_COUNT);
    assert_int_equal(fired.results[TIMER_COUNT], TW_CANCELED);
}

static void past_timer_does_not_sleep(void **state)
{
    (void)state;
    open_rig();
    int64_t begin_ns = twt_now_ns(&rig);
    arm(0, begin_ns - 1);
    (void)rig.ops->poll(rig.loop, begin_ns + long_ns);
    assert_int_equal(fired.count, 1);
    assert_true(twt_now_ns(&rig) - begin_ns < long_ns / 2);
    twt_rig_close(&rig);
}

static void poll_ends_at_its_time(void **state)
{
    (void)state;
    open_rig();
    int64_t until_ns = twt_now_ns(&rig) + 3 * ms_ns;
    TWT_UNTIL(&rig, rig.ops->poll(rig.loop, until_ns) == 0 && rig.ops->now_ns(rig.loop) >= until_ns);
    assert_true(twt_now_ns(&rig) < until_ns + long_ns / 2);
    twt_rig_close(&rig);
}

static void wake_before_poll(void **state)
{
    (void)state;
    open_rig();
    int64_t begin_ns = twt_now_ns(&rig);
    rig.ops->wake(rig.loop);
    rig.ops->wake(rig.loop);
    (void)rig.ops->poll(rig.loop, begin_ns + long_ns);
    assert_true(twt_now_ns(&rig) - begin_ns < long_ns / 2);
    assert_int_equal(rig.loop->counters.wakes, 1);
    twt_rig_close(&rig);
}

typedef struct waker {
    pthread_t thread;
    _Atomic uint32_t posted;
    uint32_t rounds;
    _Atomic uint32_t seen;
} waker;

static void *wake_in_rounds(void *argument)
{
    waker *self = argument;
    for (uint32_t round = 1; round <= self->rounds; round++) {
        self->posted = round;
        rig.ops->wake(rig.loop);
        while (self->seen < round) {
        }
    }
    return NULL;
}

/* Every post is seen although the loop would sleep forever without its wake-up. */
static void wake_from_another_thread(void **state)
{
    (void)state;
    if (twt_is_sim())
        return; /* one thread by design */
    open_rig();
    static waker other;
    other.rounds = 2000;
    other.posted = other.seen = 0;
    assert_int_equal(pthread_create(&other.thread, NULL, wake_in_rounds, &other), 0);
    while (other.seen < other.rounds) {
        (void)rig.ops->poll(rig.loop, INT64_MAX);
        other.seen = other.posted;
    }
    pthread_join(other.thread, NULL);
    assert_true(rig.loop->counters.wakes > 0);
    twt_rig_close(&rig);
}

const twt_case twt_time_cases[] = {
    {"timers_fire_in_order", timers_fire_in_order},
    {"timer_cancel", timer_cancel},
    {"timer_table_full", timer_table_full},
    {"past_timer_does_not_sleep", past_timer_does_not_sleep},
    {"poll_ends_at_its_time", poll_ends_at_its_time},
    {"wake_before_poll", wake_before_poll},
    {"wake_from_another_thread", wake_from_another_thread},
    {NULL, NULL},
};
