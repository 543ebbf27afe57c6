/* settings_command.c - the engine's command line: which file, what to do with it, and flags that override it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/config_internal.h"
#include "engine/base/settings.h"

static const struct {
    const char *name, *meaning;
} aliases[] = {
    {"--loop", "--engine.loop"}, {"--threads", "--engine.threads"}, {"--idle", "--engine.idle"},
    {"--host", "--listen.host"}, {"--port", "--listen.port"},       {"--unix", "--listen.unix_path"},
};

static const struct {
    const char *name;
    twi_settings_action action;
} actions[] = {
    {"--check-config", TWI_ACTION_CHECK},
    {"--print-config", TWI_ACTION_PRINT},
    {"--example-config", TWI_ACTION_EXAMPLE},
    {"--help", TWI_ACTION_HELP},
    {"-h", TWI_ACTION_HELP},
    {"--version", TWI_ACTION_VERSION},
    {"-V", TWI_ACTION_VERSION},
};

static const char help_text[] =
    "engine - streams market data to subscribers over WebSocket and shared memory.\n"
    "\n"
    "  engine -c FILE                  run with this configuration\n"
    "  engine                          run the built-in simulated market with defaults\n"
    "\n"
    "  -c, --config FILE               TOML file; see --example-config\n"
    "  --loop auto|io_uring|epoll|kqueue   --threads N   --idle block|yield|spin\n"
    "  --host ADDRESS   --port N   --unix PATH\n"
    "  --SECTION.KEY=VALUE             any key of the configuration, e.g. --feed.rate=50000\n"
    "  TICKWIRE_SECTION_KEY=VALUE      the same in the environment; flags win over it, it wins over the file\n"
    "\n"
    "  --check-config                  say what is wrong with the configuration, and run nothing\n"
    "  --print-config                  print the values in force and where each comes from\n"
    "  --example-config                print a commented file with every key\n"
    "  --version, --help\n"
    "\n"
    "Ends on Ctrl-C or SIGTERM after telling its subscribers. Exit: 0 good, 1 failed while running, 2 wrong command\n"
    "line or configuration.\n";

const char *twi_settings_help(void)
{
    return help_text;
}

/* The command line while it is read; `flags` are texts in the arena. */
typedef struct reading {
    twi_settings_command *command;
    twi_arena arena;
    const char **flags;
    uint32_t flag_count;
    twi_text error;
} reading;

static bool take_action(reading *state, const char *argument)
{
    for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
        if (strcmp(actions[i].name, argument) == 0) {
            state->command->action = actions[i].action;
            return true;
        }
    }
    return false;
}

/* "--loop" or "--loop=epoll" becomes the key that it stands for; other arguments stay. *length: of the name. */
static const char *unalias(const char *argument, size_t *length)
{
    *length = strcspn(argument, "=");
    for (size_t i = 0; i < sizeof(aliases) / sizeof(aliases[0]); i++) {
        if (strlen(aliases[i].name) == *length && memcmp(aliases[i].name, argument, *length) == 0) {
            *length = strlen(aliases[i].meaning);
            return aliases[i].meaning;
        }
    }
    return argument;
}

static void refuse(reading *state, const char *argument)
{
    const char *best = NULL;
    uint32_t least = 4;
    for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]) + sizeof(aliases) / sizeof(aliases[0]); i++) {
        bool is_action = i < sizeof(actions) / sizeof(actions[0]);
        const char *name = is_action ? actions[i].name : aliases[i - sizeof(actions) / sizeof(actions[0])].name;
        uint32_t distance = twi_config_distance(argument, name);
        if (strlen(name) > 2 && distance < least)
            best = name, least = distance;
    }
    twi_text_add(&state->error, "%.100s: unknown argument; ", argument);
    if (best)
        twi_text_add(&state->error, "did you mean %s?", best);
    else
        twi_text_add(&state->error, "--help lists what there is");
}

static tw_status take_flag(reading *state, const char *argument, const char *next, bool *took_next)
{
    size_t length = 0;
    const char *name = unalias(argument, &length);
    const char *equals = strchr(argument, '=');
    if (strncmp(name, "--", 2) != 0 || !memchr(name, '.', length)) {
        refuse(state, argument);
        return TW_BAD_ARGUMENT;
    }
    const char *value = equals ? equals + 1 : next;
    if (!value) {
        twi_text_add(&state->error, "%s: needs a value; write %s=VALUE", argument, argument);
        return TW_BAD_ARGUMENT;
    }
    *took_next = !equals;
    size_t bytes = length + 1 + strlen(value) + 1;
    char *flag = twi_arena_alloc(&state->arena, bytes, 1);
    if (!flag)
        return TW_NO_MEMORY;
    snprintf(flag, bytes, "%.*s=%s", (int)length, name, value);
    state->flags[state->flag_count++] = flag;
    return TW_OK;
}

static bool is_config_flag(const char *argument)
{
    return strcmp(argument, "-c") == 0 || strcmp(argument, "--config") == 0 || strncmp(argument, "--config=", 9) == 0;
}

static tw_status take_path(reading *state, const char *argument, const char *next, bool *took_next)
{
    const char *equals = argument[1] == '-' ? strchr(argument, '=') : NULL;
    *took_next = !equals;
    state->command->path = equals ? equals + 1 : next;
    if (state->command->path)
        return TW_OK;
    twi_text_add(&state->error, "%s: needs the path of a configuration; write -c FILE", argument);
    return TW_BAD_ARGUMENT;
}

static tw_status read_arguments(reading *state, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *next = i + 1 < argc ? argv[i + 1] : NULL;
        bool took_next = false;
        tw_status status = TW_OK;
        if (is_config_flag(argv[i]))
            status = take_path(state, argv[i], next, &took_next);
        else if (!take_action(state, argv[i]))
            status = take_flag(state, argv[i], next, &took_next);
        if (status != TW_OK)
            return status;
        i += took_next;
    }
    return TW_OK;
}

static bool needs_config(twi_settings_action action)
{
    return action == TWI_ACTION_RUN || action == TWI_ACTION_CHECK || action == TWI_ACTION_PRINT;
}

tw_status twi_settings_load(int argc, char **argv, char *const *environment, twi_settings_command *command,
                            char *errors, size_t errors_cap)
{
    *command = (twi_settings_command){.action = TWI_ACTION_RUN};
    reading state = {.command = command, .error = {.out = errors, .cap = errors_cap}};
    state.flags = twi_arena_array(&state.arena, argc > 0 ? (size_t)argc : 1, sizeof(char *), sizeof(char *));
    tw_status status = state.flags ? read_arguments(&state, argc, argv) : TW_NO_MEMORY;
    if (status == TW_NO_MEMORY)
        twi_text_add(&state.error, "no memory for the command line");
    if (status == TW_OK && needs_config(command->action)) {
        twi_config_inputs inputs = {
            .path = command->path, .environment = environment, .flags = state.flags, .flag_count = state.flag_count};
        status = twi_config_load(&twi_settings_schema, &inputs, &command->config, errors, errors_cap);
        command->settings = status == TW_OK ? twi_config_settings(command->config) : NULL;
    }
    twi_arena_free(&state.arena);
    return status;
}

void twi_settings_close(twi_settings_command *command)
{
    twi_config_close(command->config);
    *command = (twi_settings_command){.action = command->action};
}
