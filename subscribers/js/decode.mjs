// decode.mjs - messages of both codecs into the same objects. Pure functions over text and bytes, no dependency.
//
// Decimals are strings with all their digits ("64000.10"): a JavaScript number cannot hold every price. Times are BigInt
// nanoseconds. JSON: numbers are taken as text before JSON.parse could round them. FlatBuffers: read in place, by
// codecs/flatbuffers/market.fbs.

const TYPES = [null, 'trade', 'quote', 'book', 'candle', 'status', 'loss', 'book'];
const WIDE_BOOK = 7;
const STATES = ['syncing', 'ok', 'stale', 'gap', 'crossed'];
const CHANNELS = ['trade', 'quote', 'book', 'status', 'candle'];
const REASONS = ['none', 'venue_sequence', 'checksum', 'link_down', 'silence', 'venue', 'slow_consumer', 'ring_lapped', 'malformed',
  'depth_limit', 'resync', 'start', 'rejected'];
const INTERVALS = {1: '1s', 60: '1m', 300: '5m', 900: '15m', 3600: '1h', 86400: '1d'};

// "64000.10" of 6400010n and -2.
export function decimalText(mantissa, exponent) {
  const negative = mantissa < 0n;
  let digits = (negative ? -mantissa : mantissa).toString();
  if (exponent > 0 && mantissa !== 0n) digits += '0'.repeat(exponent);
  if (exponent < 0) {
    digits = digits.padStart(1 - exponent, '0');
    digits = `${digits.slice(0, exponent)}.${digits.slice(exponent)}`;
  }
  return negative ? `-${digits}` : digits;
}

// ---- JSON ----

const TIMES = {timestamp: 'timestamp', recv_ns: 'recvNs', publish_ns: 'publishNs'};
const COUNTS = ['seq', 'prevSeq', 'folded', 'from', 'to', 'count'];

function parseExact(text) {
  const quoted = text.replace(/"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g,
    (token) => (token[0] === '"' ? token : `"${token}"`));
  return JSON.parse(quoted);
}

// A control message as it is; a data message in the form of index.d.ts.
export function decodeJson(text) {
  const message = JSON.parse(text);
  if (message.op !== undefined) return message;
  const exact = parseExact(text);
  for (const [name, to] of Object.entries(TIMES)) {
    if (exact[name] === undefined) continue;
    const value = name === 'timestamp' ? Number(exact[name]) : BigInt(exact[name]);
    delete exact[name];
    exact[to] = value;
  }
  for (const name of COUNTS) if (exact[name] !== undefined) exact[name] = Number(exact[name]);
  return exact;
}

// ---- FlatBuffers ----

class Table {
  constructor(view, at) {
    this.view = view;
    this.at = at;
    this.fields = at - view.getInt32(at, true);
    this.fieldBytes = view.getUint16(this.fields, true);
  }

  place(field) {
    const slot = 4 + 2 * field;
    const offset = slot < this.fieldBytes ? this.view.getUint16(this.fields + slot, true) : 0;
    return offset === 0 ? 0 : this.at + offset;
  }

  long(field) { const at = this.place(field); return at ? this.view.getBigInt64(at, true) : 0n; }
  count(field) { const at = this.place(field); return at ? Number(this.view.getBigUint64(at, true)) : 0; }
  uint(field) { const at = this.place(field); return at ? this.view.getUint32(at, true) : 0; }
  byte(field) { const at = this.place(field); return at ? this.view.getUint8(at) : 0; }
  signed(field) { const at = this.place(field); return at ? this.view.getInt8(at) : 0; }

  table(field) {
    const at = this.place(field);
    return at ? new Table(this.view, at + this.view.getUint32(at, true)) : null;
  }

  text(field) {
    const at = this.place(field);
    if (!at) return undefined;
    const start = at + this.view.getUint32(at, true);
    const length = this.view.getUint32(start, true);
    return new TextDecoder().decode(new Uint8Array(this.view.buffer, this.view.byteOffset + start + 4, length));
  }

  // Levels of 16 bytes with the table's exponents, or of 24 with their own.
  levels(field, price, amount) {
    const at = this.place(field);
    if (!at) return [];
    const wide = price === undefined;
    const start = at + this.view.getUint32(at, true);
    const levels = new Array(this.view.getUint32(start, true));
    for (let i = 0; i < levels.length; i++) {
      const level = start + 4 + i * (wide ? 24 : 16);
      levels[i] = [
        decimalText(this.view.getBigInt64(level, true), wide ? this.view.getInt8(level + 16) : price),
        decimalText(this.view.getBigInt64(level + 8, true), wide ? this.view.getInt8(level + 17) : amount),
      ];
    }
    return levels;
  }
}

const READERS = {
  trade(data) {
    return {
      id: data.text(6), price: decimalText(data.long(0), data.signed(2)), amount: decimalText(data.long(1), data.signed(3)),
      side: data.byte(4) ? 'sell' : 'buy', ...(data.byte(5) ? {history: true} : {}),
    };
  },
  quote(data) {
    const [price, amount] = [data.signed(4), data.signed(5)];
    return {
      bid: decimalText(data.long(0), price), bidVolume: decimalText(data.long(1), amount),
      ask: decimalText(data.long(2), price), askVolume: decimalText(data.long(3), amount),
    };
  },
  book(data, type) {
    const exponents = type === WIDE_BOOK ? [] : [data.signed(2), data.signed(3)];
    const snapshot = data.byte(type === WIDE_BOOK ? 2 : 4) !== 0;
    return {
      ...(snapshot ? {snapshot} : {}), bids: data.levels(0, ...exponents), asks: data.levels(1, ...exponents),
    };
  },
  candle(data) {
    const price = data.signed(6);
    const [open, high, low, close] = [0, 1, 2, 3].map((field) => decimalText(data.long(field), price));
    return {
      interval: INTERVALS[Number(data.long(5) / 1000000000n)], open, high, low, close,
      volume: decimalText(data.long(4), data.signed(7)), closed: data.byte(8) !== 0,
    };
  },
  status(data) {
    return {state: STATES[data.byte(2)], reason: REASONS[data.byte(3)], from: data.count(0), to: data.count(1)};
  },
  loss(data) {
    const channel = CHANNELS[data.byte(4)];
    return {
      channel: channel === 'candle' ? `candle.${INTERVALS[data.uint(3)]}` : channel, from: data.count(0), to: data.count(1),
      count: data.count(2), reason: REASONS[data.byte(5)],
    };
  },
};

// bytes: a Uint8Array (or Buffer) with one message.
export function decodeFlatbuffers(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.byteLength < 8 || String.fromCharCode(...bytes.subarray(4, 8)) !== 'TWM1') {
    throw new TypeError('not a Tickwire FlatBuffers message');
  }
  const root = new Table(view, view.getUint32(0, true));
  const code = root.byte(0);
  const type = TYPES[code];
  if (!type) throw new TypeError(`record type ${code} is newer than this client: it may be a book change`);
  const [prevSeq, folded] = [root.count(5), root.uint(6)];
  return {
    type, exchange: root.text(2), symbol: root.text(3), ...(type === 'loss' ? {} : {seq: root.count(4)}),
    ...(prevSeq ? {prevSeq} : {}), ...(folded ? {folded} : {}), ...READERS[type](root.table(1), code),
    timestamp: Number(root.long(7) / 1000000n), recvNs: root.long(8), publishNs: root.long(9),
  };
}
