/* parse_simdjson_absent.c - stands for parse_simdjson.cpp where simdjson is not installed. */
#include "bench/parse_rivals.h"

const twb_rival_fn twb_simdjson_parse = NULL;

const char *twb_simdjson_name(void)
{
    return NULL;
}
