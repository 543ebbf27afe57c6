/* http_request_fuzz.c - any bytes as requests on one connection: heads, upgrade, subprotocol, deflate offer, query.
 * What is accepted is the same when it trickles in, and a prefix never decides otherwise. */
#include <stdlib.h>
#include <string.h>

#include "engine/base/assert.h"
#include "engine/proto/ws_deflate.h"
#include "engine/proto/ws_handshake.h"

enum { INPUT_BYTES_MAX = 1 << 14, PIPELINE_MAX = 16 };

static twi_http_request request, again;

static void assert_inside(twi_slice slice, const uint8_t *data, size_t len)
{
    const char *start = (const char *)data;
    TWI_ASSERT(slice.len == 0 || (slice.data >= start && slice.data + slice.len <= start + len));
}

static void use_query(twi_slice query)
{
    char out[64];
    twi_slice name, value;
    while (twi_http_query_next(&query, &name, &value)) {
        ptrdiff_t len = twi_http_query_decode(value, out, sizeof(out));
        TWI_ASSERT(len <= (ptrdiff_t)sizeof(out) && len <= (ptrdiff_t)value.len);
    }
}

static void use_request(void)
{
    static const char *const protocols[] = {"tickwire.v1.json", "tickwire.v1.flatbuffers"};
    char answer[TWI_WS_DEFLATE_HEADER_BYTES];
    char out[2 * TWI_WS_ACCEPT_BYTES];
    twi_ws_upgrade upgrade;
    twi_ws_deflate_params params;
    const twi_ws_deflate_policy policy = {0};
    uint32_t offered;
    int chosen = twi_ws_protocol_choose(&request, protocols, 2, &offered);
    TWI_ASSERT(chosen < 0 || offered > 0);
    tw_status deflate = twi_ws_deflate_accept(&request, &policy, &params, answer, sizeof(answer));
    tw_status status = twi_ws_upgrade_check(&request, &upgrade);
    size_t len;
    if (status == TW_OK)
        len = twi_ws_accept_write(out, sizeof(out), &upgrade, chosen >= 0 ? protocols[chosen] : NULL,
                                  deflate == TW_OK ? answer : NULL, "tickwire");
    else
        len = twi_ws_reject_write(out, sizeof(out), status == TW_EMPTY ? 404 : upgrade.error_status, "refused");
    TWI_ASSERT(len > 0);
    use_query(request.query);
}

static void check_prefixes(const uint8_t *data, size_t len, tw_status status)
{
    size_t step = len / 64 + 1;
    for (size_t cut = 0; cut < len; cut += step) {
        tw_status early = twi_http_request_parse(data, cut, 0, NULL, &again);
        TWI_ASSERT(early == TW_NEED_MORE || early == status);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > INPUT_BYTES_MAX)
        return 0;
    for (int i = 0; i < PIPELINE_MAX; i++) {
        tw_status status = twi_http_request_parse(data, size, 0, NULL, &request);
        if (status != TW_OK) {
            TWI_ASSERT((status == TW_NEED_MORE) == (request.error == NULL));
            TWI_ASSERT(status == TW_NEED_MORE || request.error_status >= 400);
            check_prefixes(data, size, status);
            return 0;
        }
        TWI_ASSERT(request.fields.head_bytes <= size && request.fields.header_count <= TWI_HTTP_HEADERS_MAX);
        for (uint32_t k = 0; k < request.fields.header_count; k++) {
            assert_inside(request.fields.headers[k].name, data, size);
            assert_inside(request.fields.headers[k].value, data, size);
        }
        assert_inside(request.target, data, size);
        use_request();
        size_t head_bytes = request.fields.head_bytes;
        check_prefixes(data, head_bytes, TW_OK);
        TWI_ASSERT(twi_http_request_parse(data, head_bytes, head_bytes / 2, NULL, &again) == TW_OK);
        data += head_bytes;
        size -= head_bytes;
    }
    return 0;
}
