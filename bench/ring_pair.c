/* ring_pair.c - see ring_pair.h. */
#include "bench/ring_pair.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__linux__)
#include <sched.h>

static void pin(int cpu)
{
    if (cpu < 0) {
        return;
    }
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    if (sched_setaffinity(0, sizeof(set), &set) != 0) {
        perror("cannot pin");
    }
}

int pair_cpus(int cpus[2])
{
    cpu_set_t set;
    int count = 0;
    cpus[0] = cpus[1] = -1;
    if (sched_getaffinity(0, sizeof(set), &set) != 0) {
        return 1;
    }
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET(cpu, &set)) {
            if (count < 2) {
                cpus[count] = cpu;
            }
            count++;
        }
    }
    return count;
}

#else

static void pin(int cpu)
{
    (void)cpu;
}

int pair_cpus(int cpus[2])
{
    cpus[0] = cpus[1] = -1;
    return (int)sysconf(_SC_NPROCESSORS_ONLN);
}

#endif

typedef struct thread_side {
    pair_side side;
    void *owner;
} thread_side;

static void *thread_main(void *argument)
{
    const thread_side *self = argument;
    self->side(self->owner);
    return NULL;
}

static void run_threads(const pair *how, pair_side side_a, pair_side side_b, void *owner)
{
    thread_side b = {.side = side_b, .owner = owner};
    pthread_t thread;
    pin(how->cpu_b); /* inherited likewise */
    if (pthread_create(&thread, NULL, thread_main, &b) != 0) {
        perror("pthread_create");
        exit(1);
    }
    pin(how->cpu_a);
    side_a(owner);
    pthread_join(thread, NULL);
}

static void run_processes(const pair *how, pair_side side_a, pair_side side_b, void *owner)
{
    fflush(NULL);
    pin(how->cpu_b); /* inherited by the child, so that it does not wait behind a side A that spins */
    pid_t child = fork();
    if (child < 0) {
        perror("fork");
        exit(1);
    }
    if (child == 0) {
        side_b(owner);
        _exit(0);
    }
    pin(how->cpu_a);
    side_a(owner);
    int status = 0;
    if (waitpid(child, &status, 0) != child || status != 0) {
        fprintf(stderr, "side B failed (status %d)\n", status);
        exit(1);
    }
}

void pair_run(const pair *how, pair_side side_a, pair_side side_b, void *owner)
{
    if (how->threads) {
        run_threads(how, side_a, side_b, owner);
    } else {
        run_processes(how, side_a, side_b, owner);
    }
}

void *pair_memory(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANON, -1, 0);
    if (memory == MAP_FAILED) {
        perror("mmap");
        exit(1);
    }
    return memory;
}

double pair_calibrate(int64_t duration_ns)
{
    int64_t start_ns = twi_monotonic_ns(), start = pair_ticks(), now_ns = start_ns;
    while (now_ns - start_ns < duration_ns) {
        now_ns = twi_monotonic_ns();
    }
    return (double)(pair_ticks() - start) / (double)(now_ns - start_ns);
}
