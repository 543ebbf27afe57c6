// tickwire.mjs - a subscription to a Tickwire engine: connects, subscribes, checks every sequence number, reconnects.
//
// Usage:     for await (const message of connect('ws://127.0.0.1:9001', {channels: ['trade'], symbols: ['sim:*']})) ...
// Messages:  plain objects, the same for both codecs, see tickwire.d.ts. What is missing comes as {type: 'gap'} or, where
//            the engine knows it, {type: 'loss'}; nothing is left out without one of them.
// Where:     browsers and Node 22 have a WebSocket; for older Nodes give one: connect(url, {WebSocket}) of the package ws.
// Limits:    a consumer that does not keep up fills `queueMax` messages; then it gets a gap instead of memory without end.
import {decodeFlatbuffers, decodeJson} from './decode.mjs';

export {decimalText, decodeFlatbuffers, decodeJson} from './decode.mjs';

const FIRST_BACKOFF_MS = 100;
const LAST_BACKOFF_MS = 10000;
const NOT_AGAIN_FROM = 4500; // close codes from here on: do not come back as you are

function endpoint(url) {
  const parsed = new URL(url);
  if (parsed.pathname === '/') parsed.pathname = '/v1/stream';
  return parsed.href;
}

function channelOf(message) {
  return message.type === 'candle' ? `candle.${message.interval}` : message.type;
}

class Stream {
  #options; #url; #socket; #queue = []; #waiting = []; #closed = false; #failure = null; #backoff = FIRST_BACKOFF_MS; #timer;
  #last = new Map(); #dropped = 0;

  constructor(url, options) {
    this.#url = endpoint(url);
    this.#options = {
      channels: ['trade', 'quote', 'book', 'status'], symbols: ['*:*'], codec: 'json', queueMax: 100000, ...options,
    };
    if (!['json', 'flatbuffers'].includes(this.#options.codec)) throw new TypeError('codec: json or flatbuffers');
    this.#options.WebSocket ??= globalThis.WebSocket;
    if (!this.#options.WebSocket) throw new TypeError('no WebSocket here: give one, e.g. of the package ws');
    this.#dial();
  }

  #dial() {
    const {WebSocket, codec, token} = this.#options;
    const url = token ? `${this.#url}${this.#url.includes('?') ? '&' : '?'}token=${encodeURIComponent(token)}` : this.#url;
    this.#socket = new WebSocket(url, `tickwire.v1.${codec}`);
    this.#socket.binaryType = 'arraybuffer';
    this.#socket.onmessage = (event) => this.#take(event.data);
    this.#socket.onerror = () => {}; // the close event follows
    this.#socket.onclose = (event) => this.#ended(event.code, event.reason);
  }

  #take(data) {
    let message;
    try {
      message = typeof data === 'string' ? decodeJson(data) : decodeFlatbuffers(new Uint8Array(data));
    } catch (error) {
      this.#fail(error);
      return;
    }
    if (message.op !== undefined) this.#control(message);
    else this.#check(message);
  }

  #control(message) {
    if (message.op === 'hello') {
      const {channels, symbols, policy, interval, depth} = this.#options;
      this.#socket.send(JSON.stringify({op: 'subscribe', id: 1, channels, symbols, policy, interval, depth}));
    } else if (message.op === 'subscribed') {
      this.#backoff = FIRST_BACKOFF_MS;
      for (const topic of message.topics) {
        this.#last.set(`${topic.exchange}:${topic.symbol} ${topic.channel}`, {seq: topic.seq, state: true});
      }
      for (const error of message.errors ?? []) this.#push({type: 'error', ...error});
    } else if (message.op === 'error') {
      this.#push({type: 'error', ...message});
    }
  }

  // The next number of a topic is the last one + 1, or names the last one; the state repeats the last one.
  #check(message) {
    const key = `${message.exchange}:${message.symbol} ${message.type === 'loss' ? message.channel : channelOf(message)}`;
    const topic = this.#last.get(key);
    if (message.type === 'loss') {
      for (const each of this.#last.values()) each.state = true;
      this.#last.set(key, {seq: message.to, state: true});
      this.#push(message);
      return;
    }
    const follows = message.prevSeq ?? message.seq - 1;
    if (topic && topic.state && message.seq === topic.seq) {
      topic.state = false;
      this.#push({...message, isState: true});
      return;
    }
    if (topic && message.seq <= topic.seq && !message.snapshot) return; /* seen before */
    if (topic && follows > topic.seq) {
      this.#push({type: 'gap', exchange: message.exchange, symbol: message.symbol, channel: channelOf(message), count: follows - topic.seq});
    }
    this.#last.set(key, {seq: message.seq, state: false});
    this.#push(message);
  }

  #push(message) {
    if (this.#waiting.length) {
      this.#waiting.shift().resolve({value: message, done: false});
    } else if (this.#queue.length < this.#options.queueMax) {
      if (this.#dropped) {
        this.#queue.push({type: 'gap', count: this.#dropped, reason: 'this program does not keep up'});
        this.#dropped = 0;
      }
      this.#queue.push(message);
    } else {
      this.#dropped++;
    }
  }

  #ended(code, reason) {
    if (this.#closed || this.#failure) return;
    if (code >= NOT_AGAIN_FROM && code < 5000) {
      this.#fail(new Error(`the engine turned this program away: ${code} ${reason}`));
      return;
    }
    if (this.#last.size) this.#push({type: 'gap', count: 0, reason: `the connection ended (${code})`});
    this.#last.clear();
    this.#timer = setTimeout(() => this.#dial(), this.#backoff * (0.5 + Math.random() / 2));
    this.#backoff = Math.min(this.#backoff * 2, LAST_BACKOFF_MS);
  }

  #fail(error) {
    this.#failure = error;
    this.#socket.close();
    for (const each of this.#waiting.splice(0)) each.reject(error);
  }

  close() {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#socket.close();
    for (const each of this.#waiting.splice(0)) each.resolve({value: undefined, done: true});
  }

  next() {
    if (this.#queue.length) return Promise.resolve({value: this.#queue.shift(), done: false});
    if (this.#failure) return Promise.reject(this.#failure);
    if (this.#closed) return Promise.resolve({value: undefined, done: true});
    return new Promise((resolve, reject) => this.#waiting.push({resolve, reject}));
  }

  return() {
    this.close();
    return Promise.resolve({value: undefined, done: true});
  }

  [Symbol.asyncIterator]() { return this; }
}

// See tickwire.d.ts.
export function connect(url, options = {}) {
  return new Stream(url, options);
}
