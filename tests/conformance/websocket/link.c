/* link.c - blocking sockets, handshakes and frames of the test's end. */
#include "tests/conformance/websocket/link.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>

enum { TIMEOUT_SECONDS = 30, REQUEST_BYTES = 4096 };

static void *resize_memory(void *owner, void *old, size_t new_bytes)
{
    (void)owner;
    if (new_bytes > 0)
        return realloc(old, new_bytes);
    free(old);
    return NULL;
}

static struct sockaddr_in loopback(uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
}

static void set_options(int fd)
{
    const struct timeval timeout = {.tv_sec = TIMEOUT_SECONDS};
    const int on = 1;
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)), 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)), 0);
    assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)), 0);
}

int twt_dial(uint16_t port)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    set_options(fd);
    struct sockaddr_in address = loopback(port);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

int twt_listen(uint16_t *port)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    struct sockaddr_in address = loopback(0);
    socklen_t address_len = sizeof(address);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 16), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &address_len), 0);
    *port = ntohs(address.sin_port);
    return fd;
}

int twt_accept(int listener)
{
    struct pollfd wait = {.fd = listener, .events = POLLIN};
    assert_int_equal(poll(&wait, 1, TIMEOUT_SECONDS * 1000), 1);
    int fd = accept(listener, NULL, NULL);
    assert_true(fd >= 0);
    set_options(fd);
    return fd;
}

void twt_link_send_bytes(twt_link *link, const void *data, size_t len)
{
    const uint8_t *bytes = data;
    while (len > 0) {
        ssize_t sent = send(link->fd, bytes, len, MSG_NOSIGNAL);
        if (sent < 0 && (errno == EPIPE || errno == ECONNRESET))
            return; /* the other side has seen enough */
        assert_true(sent > 0);
        bytes += sent;
        len -= (size_t)sent;
    }
}

/* More input; false: the connection has ended. */
static bool fill(twt_link *link)
{
    if (link->input_at == link->input_len)
        link->input_at = link->input_len = 0;
    assert_true(link->input_len < TWT_LINK_INPUT_BYTES);
    ssize_t len = recv(link->fd, link->input + link->input_len, TWT_LINK_INPUT_BYTES - link->input_len, 0);
    if (len < 0 && errno != ECONNRESET)
        fail_msg("nothing received for %d seconds", TIMEOUT_SECONDS);
    link->input_len += len > 0 ? (size_t)len : 0;
    return len > 0;
}

static void begin(twt_link *link, int fd, uint8_t role)
{
    memset(link, 0, sizeof(*link));
    link->fd = fd;
    link->role = role;
    link->seed = 1;
    link->message = (twi_ws_message){.bytes_max = TWT_LINK_MESSAGE_BYTES_MAX, .resize = resize_memory};
    link->packed = (twi_ws_message){.bytes_max = TWT_LINK_MESSAGE_BYTES_MAX, .resize = resize_memory};
}

static void begin_frames(twt_link *link, const twi_ws_deflate_params *params)
{
    link->deflate = params != NULL;
    if (link->deflate) {
        twi_ws_inflater_init(&link->inflater, params, resize_memory, NULL);
        twi_ws_deflater_init(&link->deflater, params, 1, resize_memory, NULL);
    }
    const twi_ws_reader_config config = {.role = link->role, .deflate = link->deflate};
    twi_ws_reader_init(&link->reader, &config);
}

void twt_link_open_client(twt_link *link, int fd, const char *extensions, const twi_ws_deflate_policy *policy)
{
    static const uint8_t key[16] = "conformance test";
    const twi_ws_client_request request = {.host = "127.0.0.1", .target = "/", .extensions = extensions};
    char text[REQUEST_BYTES];
    begin(link, fd, TWI_WS_CLIENT);
    twt_link_send_bytes(link, text, twi_ws_request_write(text, sizeof(text), &request, key));
    static twi_http_response response;
    tw_status status;
    while ((status = twi_http_response_parse(link->input, link->input_len, 0, NULL, &response)) == TW_NEED_MORE)
        assert_true(fill(link));
    assert_int_equal(status, TW_OK);
    twi_ws_client_answer answer;
    assert_int_equal(twi_ws_response_check(&response, &request, key, &answer), TW_OK);
    link->input_at = response.fields.head_bytes;
    twi_ws_deflate_params params;
    if (policy != NULL)
        assert_int_equal(twi_ws_deflate_confirm(answer.extensions, policy, &params), TW_OK);
    begin_frames(link, policy != NULL ? &params : NULL);
}

void twt_link_open_server(twt_link *link, int fd, const twi_ws_deflate_policy *policy)
{
    begin(link, fd, TWI_WS_SERVER);
    tw_status status;
    while ((status = twi_http_request_parse(link->input, link->input_len, 0, NULL, &link->request)) == TW_NEED_MORE)
        assert_true(fill(link));
    assert_int_equal(status, TW_OK);
    twi_ws_upgrade upgrade;
    assert_int_equal(twi_ws_upgrade_check(&link->request, &upgrade), TW_OK);
    char answer[TWI_WS_DEFLATE_HEADER_BYTES];
    char text[REQUEST_BYTES];
    twi_ws_deflate_params params;
    if (policy != NULL)
        assert_int_equal(twi_ws_deflate_accept(&link->request, policy, &params, answer, sizeof(answer)), TW_OK);
    twt_link_send_bytes(link, text,
                        twi_ws_accept_write(text, sizeof(text), &upgrade, NULL, policy != NULL ? answer : NULL, NULL));
    link->input_at = link->request.fields.head_bytes;
    begin_frames(link, policy != NULL ? &params : NULL);
}

void twt_link_close(twt_link *link)
{
    close(link->fd);
    twi_ws_message_fini(&link->message);
    twi_ws_message_fini(&link->packed);
    twi_ws_inflater_fini(&link->inflater);
    twi_ws_deflater_fini(&link->deflater);
}

size_t twt_link_frame(twt_link *link, uint8_t *out, uint8_t first_byte, const void *payload, size_t len)
{
    uint32_t bits = (uint32_t)twt_random(&link->seed);
    uint8_t mask[4];
    memcpy(mask, &bits, sizeof(mask));
    bool masked = link->role == TWI_WS_CLIENT;
    size_t header_len = twi_ws_header_write(out, first_byte, false, false, len, masked ? mask : NULL);
    if (len > 0)
        memcpy(out + header_len, payload, len);
    if (masked)
        twi_ws_mask(out + header_len, len, mask, 0);
    return header_len + len;
}

void twt_link_send_frame(twt_link *link, uint8_t first_byte, const void *payload, size_t len)
{
    uint8_t *frame = malloc(len + TWI_WS_HEADER_BYTES_MAX);
    assert_non_null(frame);
    twt_link_send_bytes(link, frame, twt_link_frame(link, frame, first_byte, payload, len));
    free(frame);
}

void twt_link_send_message(twt_link *link, uint8_t opcode, const void *data, size_t len, size_t fragment_bytes)
{
    enum { FIN = 0x80, RSV1 = 0x40 };
    const uint8_t *payload = data;
    if (link->deflate) {
        assert_int_equal(twi_ws_deflate_message(&link->deflater, payload, len, &link->packed), TW_OK);
        payload = link->packed.data;
        len = link->packed.len;
    }
    uint8_t first_byte = (uint8_t)(opcode | (link->deflate ? RSV1 : 0));
    while (fragment_bytes > 0 && len > fragment_bytes) {
        twt_link_send_frame(link, first_byte, payload, fragment_bytes);
        payload += fragment_bytes;
        len -= fragment_bytes;
        first_byte = TWI_WS_CONTINUATION;
    }
    twt_link_send_frame(link, first_byte | FIN, payload, len);
}

static bool take_piece(twt_link *link, const twi_ws_piece *piece)
{
    if (piece->opcode >= TWI_WS_CLOSE)
        return twi_ws_control_add(&link->control, piece);
    bool compressed = (piece->flags & TWI_WS_COMPRESSED) != 0;
    tw_status status = compressed ? twi_ws_inflate_piece(&link->inflater, piece, &link->message)
                                  : twi_ws_message_add(&link->message, piece);
    assert_true(status == TW_OK || status == TW_NEED_MORE);
    return status == TW_OK;
}

uint8_t twt_link_receive(twt_link *link)
{
    for (;;) {
        uint8_t *cursor = link->input + link->input_at;
        twi_ws_piece piece;
        tw_status status = twi_ws_read(&link->reader, &cursor, link->input + link->input_len, &piece);
        link->input_at = (size_t)(cursor - link->input);
        if (status == TW_OK && take_piece(link, &piece))
            return piece.opcode;
        if (status == TW_OK)
            continue;
        if (status != TW_NEED_MORE && status != TW_CLOSED)
            fail_msg("the other side broke a rule: %s", twi_ws_error_reason(link->reader.error));
        if (status == TW_CLOSED)
            link->input_at = link->input_len; /* must be nothing */
        if (!fill(link))
            return TWT_LINK_END;
    }
}

void twt_link_expect_message(twt_link *link, uint8_t opcode, const void *data, size_t len)
{
    assert_int_equal(twt_link_receive(link), opcode);
    assert_int_equal(link->message.len, len);
    if (len > 0 && memcmp(link->message.data, data, len) != 0)
        fail_msg("the message of %zu bytes came back changed", len);
}

void twt_link_expect_close(twt_link *link, uint16_t code)
{
    uint8_t opcode;
    while ((opcode = twt_link_receive(link)) != TWI_WS_CLOSE) {
        if (opcode == TWT_LINK_END)
            fail_msg("the connection ended without a close frame, %u was due", (unsigned)code);
    }
    uint16_t wanted = code == 0 ? TWI_WS_CODE_NONE : code;
    if (link->reader.close_code != wanted)
        fail_msg("close code %u instead of %u", (unsigned)link->reader.close_code, (unsigned)wanted);
    assert_int_equal(twt_link_receive(link), TWT_LINK_END);
}
