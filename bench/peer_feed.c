/* peer_feed.c - writes JSON messages to standard output when they are due: what the peers of a comparison broadcast.
 *
 * Job:       one line per message at a fixed rate, stamped with the time at which it was due (recv_ns), from a schedule
 *            that does not wait for whoever reads: a reader that falls behind finds old stamps. Timers of most event
 *            loops are a millisecond coarse; this one is not, so that what is measured is the peer.
 * Usage:     peer_feed --messages FILE --rate 1000 | peer. It rests until SIGUSR1, and again from SIGUSR2 to the next
 *            SIGUSR1; the schedule begins anew each time. It ends with its reader.
 * Messages:  templates as of fanout_messages.h; seq counts per topic and goes on over rests.
 * Non-goals: framing, sockets, more than one reader. */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench/fanout_messages.h"

#define NS_PER_S 1000000000LL

enum { EXIT_USAGE = 2, REST_MS = 50, RATE_MAX = 1000000, SMALL_PAYLOAD_MAX = 125, MIDDLE_MARK = 126 };

static atomic_bool running; /* lock-free, so a signal handler may set it */

static void on_signal(int number)
{
    atomic_store(&running, number == SIGUSR1);
}

static int64_t now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_REALTIME, &time);
    return (int64_t)time.tv_sec * NS_PER_S + time.tv_nsec;
}

static void rest_until(int64_t due_ns)
{
    int64_t left_ns = due_ns - now_ns();
    if (left_ns <= 0)
        return;
    struct timespec rest = {.tv_sec = left_ns / NS_PER_S, .tv_nsec = left_ns % NS_PER_S};
    nanosleep(&rest, NULL);
}

static uint32_t header_bytes(const uint8_t *frame)
{
    if (frame[1] <= SMALL_PAYLOAD_MAX)
        return 2;
    return frame[1] == MIDDLE_MARK ? 4 : FANOUT_FRAME_HEADER_BYTES_MAX;
}

/* false: the reader has gone. */
static bool put(const uint8_t *bytes, size_t count)
{
    while (count > 0) {
        ssize_t taken = write(STDOUT_FILENO, bytes, count);
        if (taken < 0 && errno == EINTR)
            continue;
        if (taken <= 0)
            return false;
        bytes += taken;
        count -= (size_t)taken;
    }
    return true;
}

static bool reader_is_there(void)
{
    struct pollfd out = {.fd = STDOUT_FILENO};
    return poll(&out, 1, REST_MS) <= 0 || !(out.revents & (POLLERR | POLLHUP | POLLNVAL));
}

static void feed(fanout_messages *messages, uint8_t *line, uint32_t rate)
{
    int64_t begin_ns = 0;
    uint64_t made = 0;
    for (;;) {
        if (!atomic_load(&running)) {
            begin_ns = 0;
            if (!reader_is_there())
                return;
            continue;
        }
        if (begin_ns == 0) {
            begin_ns = now_ns();
            made = 0;
        }
        int64_t due_ns = begin_ns + (int64_t)(made * (uint64_t)NS_PER_S / rate);
        rest_until(due_ns);
        if (!atomic_load(&running))
            continue;
        uint32_t bytes = fanout_messages_frame(messages, line, due_ns, now_ns());
        line[bytes] = '\n';
        uint32_t skip = header_bytes(line);
        if (!put(line + skip, bytes + 1 - skip))
            return;
        made++;
    }
}

int main(int argc, char **argv)
{
    static const struct option long_options[] = {{"messages", required_argument, NULL, 'm'},
                                                 {"rate", required_argument, NULL, 'r'},
                                                 {"help", no_argument, NULL, 'h'},
                                                 {NULL, 0, NULL, 0}};
    const char *path = NULL;
    unsigned long rate = 1000;
    int key;
    while ((key = getopt_long(argc, argv, "", long_options, NULL)) >= 0) {
        char *end = NULL;
        if (key == 'h') {
            puts("usage: peer_feed --messages FILE [--rate 1000]\n"
                 "Writes a message per line when it is due, from SIGUSR1 until SIGUSR2.");
            return 0;
        }
        if (key == 'm') {
            path = optarg;
        } else if (key == 'r') {
            rate = strtoul(optarg, &end, 10);
            if (end == optarg || *end != 0 || rate < 1 || rate > RATE_MAX) {
                fprintf(stderr, "peer_feed: --rate %s: wants 1 to %d messages per second\n", optarg, RATE_MAX);
                return EXIT_USAGE;
            }
        } else {
            return EXIT_USAGE;
        }
    }
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGUSR1, &action, NULL);
    sigaction(SIGUSR2, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    fanout_messages messages;
    fanout_messages_load(&messages, path, 10);
    uint8_t *line = malloc(messages.frame_bytes_max + 1);
    if (!line) {
        fprintf(stderr, "peer_feed: no memory\n");
        return 1;
    }
    feed(&messages, line, (uint32_t)rate);
    free(line);
    return 0;
}
