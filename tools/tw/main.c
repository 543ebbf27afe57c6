/* main.c - tw: one program with verbs for looking at and keeping what Tickwire streams.
 *
 * Usage:   tw VERB [options]; tw --help lists the verbs, tw VERB --help says how each is used.
 * Exit:    0 done (also after Ctrl-C), 1 something failed or was found wrong, 2 the command line is wrong. */
#include <string.h>

#include "engine/runtime/runtime.h"
#include "tools/tw/cli.h"

static const twi_verb *const verbs[] = {&twi_verb_sub, &twi_verb_record, &twi_verb_replay, &twi_verb_info,
                                        &twi_verb_doctor};
enum { VERB_COUNT = sizeof(verbs) / sizeof(verbs[0]) };

static void print_verbs(FILE *out)
{
    fputs("usage: tw VERB [options]\n\n", out);
    for (size_t i = 0; i < VERB_COUNT; i++)
        fprintf(out, "  %-8s %s\n", verbs[i]->name, verbs[i]->job);
    fputs("\n'tw VERB --help' says how each is used, with examples. 'tw --version' says the version.\n", out);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        print_verbs(stderr);
        return TWI_EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        print_verbs(stdout);
        return TWI_EXIT_GOOD;
    }
    if (strcmp(argv[1], "--version") == 0) {
        puts("tw " TWI_VERSION);
        return TWI_EXIT_GOOD;
    }
    for (size_t i = 0; i < VERB_COUNT; i++) {
        if (strcmp(argv[1], verbs[i]->name) != 0)
            continue;
        twi_cli_catch_signals();
        return verbs[i]->run(verbs[i], argc - 1, argv + 1);
    }
    fprintf(stderr, "tw: no verb '%s'\n\n", argv[1]);
    print_verbs(stderr);
    return TWI_EXIT_USAGE;
}
