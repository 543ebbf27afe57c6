/* run_corpus.c - the main of a fuzz target without libFuzzer: runs every file of the given folders through the target,
 * as it is, cut to every length, and with single bytes changed. Each input ends where its allocation ends, so that the
 * address sanitizer sees a read of one byte too many. Non-goals: searching; that is libFuzzer's (preset fuzz). */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#ifndef TWT_VARIANTS_MAX
#define TWT_VARIANTS_MAX 6000 /* of one file; fewer for a target whose runs are long */
#endif
enum {
    INPUT_BYTES_MAX = 1 << 20,
    CUT_COUNT_MAX = TWT_VARIANTS_MAX / 3,
    CHANGE_COUNT_MAX = TWT_VARIANTS_MAX - CUT_COUNT_MAX
};

static const uint8_t replacements[] = {0,    1,   0x20, 0x7f, 0x80, 0xff, '"', '\\',
                                       '\n', '0', '-',  'e',  '{',  '}',  '[', ','};

/* An exact copy, so that nothing lies behind it. */
static void run(const uint8_t *data, size_t size, size_t changed, uint8_t replacement)
{
    uint8_t *copy = malloc(size ? size : 1);
    if (!copy)
        abort();
    memcpy(copy, data, size);
    if (changed < size)
        copy[changed] = replacement;
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

static size_t run_variants(const uint8_t *data, size_t size)
{
    size_t runs = 1, step = size / CUT_COUNT_MAX + 1;
    run(data, size, size, 0);
    for (size_t cut = 0; cut < size; cut += step, runs++)
        run(data, cut, cut, 0);
    step = size * sizeof(replacements) / CHANGE_COUNT_MAX + 1;
    for (size_t i = 0; i < size * sizeof(replacements); i += step, runs++)
        run(data, size, i / sizeof(replacements), replacements[i % sizeof(replacements)]);
    return runs;
}

static size_t run_file(const char *path, uint8_t *buffer)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        return 0;
    size_t size = fread(buffer, 1, INPUT_BYTES_MAX, file);
    fclose(file);
    return run_variants(buffer, size);
}

static size_t run_folder(const char *folder, uint8_t *buffer)
{
    DIR *entries = opendir(folder);
    size_t runs = 0;
    char path[4096];
    if (!entries)
        return 0;
    for (struct dirent *entry; (entry = readdir(entries));) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
        runs += run_file(path, buffer);
    }
    closedir(entries);
    return runs;
}

int main(int argc, char **argv)
{
    uint8_t *buffer = malloc(INPUT_BYTES_MAX);
    size_t runs = 0;
    if (!buffer)
        return 1;
    for (int i = 1; i < argc; i++)
        runs += run_folder(argv[i], buffer);
    free(buffer);
    printf("%zu inputs\n", runs);
    return runs ? 0 : 1;
}
