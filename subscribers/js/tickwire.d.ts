// Types of the Tickwire client. Decimals are strings with all their digits; times ending in Ns are nanoseconds.

export type Decimal = string;
export type Level = [price: Decimal, amount: Decimal];

interface Base {
  exchange: string;
  symbol: string;
  /** Counts per topic, without holes. */
  seq: number;
  /** The last one delivered before this, if that is not seq - 1. */
  prevSeq?: number;
  /** Messages that were folded into this one. */
  folded?: number;
  /** Venue time, Unix milliseconds. */
  timestamp: number;
  /** When the engine received it and when it framed it. */
  recvNs: bigint;
  publishNs: bigint;
  /** No news: what the topic stood at when it was subscribed. */
  isState?: boolean;
}

export interface Trade extends Base { type: 'trade'; id?: string; price: Decimal; amount: Decimal; side: 'buy' | 'sell'; history?: boolean }
export interface Quote extends Base { type: 'quote'; bid: Decimal; bidVolume: Decimal; ask: Decimal; askVolume: Decimal }
/** Absolute amounts, "0" deletes; a snapshot replaces the whole book. */
export interface Book extends Base { type: 'book'; snapshot?: boolean; bids: Level[]; asks: Level[] }
export interface Candle extends Base {
  type: 'candle'; interval: string; open: Decimal; high: Decimal; low: Decimal; close: Decimal; volume: Decimal; closed: boolean;
}
export interface Status extends Base {
  type: 'status'; state: 'syncing' | 'ok' | 'stale' | 'gap' | 'crossed'; reason?: string; from?: number; to?: number;
}
/** The engine could not deliver these to a slow consumer. */
export interface Loss { type: 'loss'; exchange: string; symbol: string; channel: string; from: number; to: number; count: number; reason: string }
/** Messages are missing here; count 0: nobody knows how many. */
export interface Gap { type: 'gap'; exchange?: string; symbol?: string; channel?: string; count: number; reason?: string }
/** A symbol or channel that the engine refused. */
export interface Refused { type: 'error'; code: number; name: string; message: string; symbol?: string; channel?: string; temporary: boolean }

export type Message = Trade | Quote | Book | Candle | Status | Loss | Gap | Refused;

export interface Options {
  channels?: string[];
  symbols?: string[];
  codec?: 'json' | 'flatbuffers';
  token?: string;
  policy?: string;
  interval?: string;
  depth?: number;
  /** Messages that may wait for a consumer that does not keep up (100,000). */
  queueMax?: number;
  /** A WebSocket class, where there is none (Node before 22). */
  WebSocket?: unknown;
}

export interface Stream extends AsyncIterableIterator<Message> { close(): void }

/** Keeps itself connected until close(), or until the loop over it ends. Rejects if the engine turns it away for good. */
export function connect(url: string, options?: Options): Stream;
export function decodeJson(text: string): Message | {op: string};
export function decodeFlatbuffers(bytes: Uint8Array): Message;
export function decimalText(mantissa: bigint, exponent: number): Decimal;
