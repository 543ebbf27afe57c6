/* child.c - fork, exec and /proc. */
#include "tests/conformance/websocket/child.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#if defined(__linux__)
#include <sys/prctl.h>
#endif
#include <unistd.h>

twt_child twt_child_start(const char *const *argv)
{
    int ends[2];
    if (pipe(ends) != 0)
        abort();
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0)
        abort();
    if (pid == 0) {
#if defined(__linux__)
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that crashes leaves nobody behind */
#endif
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        close(ends[1]);
        execv(argv[0], (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    close(ends[1]);
    return (twt_child){.pid = pid, .output = ends[0]};
}

int twt_child_line(twt_child *child, const char *pattern, char *line, size_t line_cap)
{
    size_t len = 0;
    for (;;) {
        char c;
        ssize_t got = read(child->output, &c, 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return -1;
        if (c != '\n') {
            if (len + 1 < line_cap)
                line[len++] = c;
            continue;
        }
        line[len] = '\0';
        if (strstr(line, pattern) != NULL)
            return 0;
        len = 0;
    }
}

int twt_child_end(twt_child *child, int signal_number)
{
    int status;
    if (signal_number != 0)
        kill(child->pid, signal_number);
    while (waitpid(child->pid, &status, 0) < 0) {
        if (errno != EINTR)
            return -1;
    }
    close(child->output);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

long twt_child_resident_kib(const twt_child *child)
{
    char path[64], line[256];
    long kib = -1;
    snprintf(path, sizeof(path), "/proc/%d/status", (int)child->pid);
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return -1;
    while (fgets(line, sizeof(line), file) != NULL) {
        if (strncmp(line, "VmRSS:", 6) == 0)
            kib = strtol(line + 6, NULL, 10);
    }
    fclose(file);
    return kib;
}

int twt_child_descriptors(const twt_child *child)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/fd", (int)child->pid);
    DIR *entries = opendir(path);
    if (entries == NULL)
        return -1;
    int count = 0;
    for (struct dirent *entry; (entry = readdir(entries)) != NULL;)
        count += entry->d_name[0] != '.';
    closedir(entries);
    return count;
}
