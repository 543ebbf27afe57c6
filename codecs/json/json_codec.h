/* json_codec.h - what the JSON encoder and decoder share: the two halves of tw_codec_json.
 *
 * Form:     one flat object per message, ccxt's names, members in a fixed order, no white space:
 *             type exchange symbol seq [prevSeq] [folded] ... timestamp recv_ns publish_ns
 *             trade   [id] price amount side [history]        history:true only if it comes from the venue's backlog
 *             quote   bid bidVolume ask askVolume             null null: that side is empty
 *             book    [snapshot] bids asks                    snapshot:true only if it replaces the whole book
 *             candle  interval open high low close volume closed
 *             status  state reason
 *             loss    channel from to count reason            neither seq nor times: it belongs to one subscriber
 * Numbers:  plain decimals with the venue's digits. `timestamp` is in ms, null if the venue gave none.
 * Lost:     venue times below a millisecond, the venue's own book sequence and a candle's trade count are not in it.
 * Decoder:  takes members in any order, ignores unknown ones, refuses a member that comes twice. */
#ifndef TWI_JSON_CODEC_H
#define TWI_JSON_CODEC_H

#include "tickwire/codec.h"

size_t twi_json_bound(uint32_t event_count);
size_t twi_json_encode(const tw_symbols *symbols, const tw_record *record, uint8_t *out, size_t out_cap);
tw_status twi_json_decode(tw_symbols *symbols, const uint8_t *msg, size_t msg_len, tw_event *events,
                          uint32_t *event_count, tw_record *record);

#endif
