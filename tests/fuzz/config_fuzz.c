/* config_fuzz.c - any bytes as the engine's configuration file: a result, never a crash; what is accepted prints and
 * loads again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/assert.h"
#include "engine/base/settings.h"

enum { INPUT_BYTES_MAX = 1 << 14 };

static char errors[4096];
static char printed[1 << 18];

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > INPUT_BYTES_MAX)
        return 0;
    const twi_config_inputs inputs = {.path = "fuzz.toml"};
    twi_config *config = NULL;
    tw_status status =
        twi_config_parse(&twi_settings_schema, &inputs, (const char *)data, size, &config, errors, sizeof(errors));
    if (status != TW_OK) {
        TWI_ASSERT(!config && errors[0] != 0);
        return 0;
    }
    size_t length = twi_config_print(config, printed, sizeof(printed));
    twi_config_close(config);
    if (length >= sizeof(printed))
        return 0;
    status = twi_config_parse(&twi_settings_schema, &inputs, printed, length, &config, errors, sizeof(errors));
    TWI_ASSERT(status == TW_OK);
    twi_config_close(config);
    return 0;
}
