// Tests of the JavaScript client against a running engine; argv: the ws:// URL, the client's folder.
import assert from 'node:assert/strict';
import {createRequire} from 'node:module';
import path from 'node:path';
import {pathToFileURL} from 'node:url';

const [url, folder] = process.argv.slice(2);
const require = createRequire(import.meta.url);
const WebSocket = globalThis.WebSocket ?? require('ws');
const {connect, decimalText, decodeFlatbuffers, decodeJson} = await import(pathToFileURL(path.join(folder, 'tickwire.mjs')));

async function take(count, options) {
  const taken = [];
  for await (const message of connect(url, {WebSocket, ...options})) {
    taken.push(message);
    if (taken.length === count) return taken;
  }
  return taken;
}

function testDecimals() {
  assert.equal(decimalText(6400010n, -2), '64000.10');
  assert.equal(decimalText(-5n, -3), '-0.005');
  assert.equal(decimalText(12n, 3), '12000');
  assert.equal(decimalText(0n, 2), '0');
  assert.equal(decimalText(9223372036854775807n, -18), '9.223372036854775807');
}

function testExactJson() {
  const trade = decodeJson('{"type":"trade","exchange":"a:1,","symbol":"x\\"2,","seq":4712,"price":64000.10,"amount":1e-8,' +
    '"side":"buy","timestamp":1700000000000,"recv_ns":1700000000123456789,"publish_ns":1700000000123456790}');
  assert.equal(trade.price, '64000.10');
  assert.equal(trade.amount, '1e-8');
  assert.equal(trade.exchange, 'a:1,');
  assert.equal(trade.symbol, 'x"2,');
  assert.equal(trade.seq, 4712);
  assert.equal(trade.recvNs, 1700000000123456789n);
  assert.throws(() => decodeFlatbuffers(new Uint8Array(16)), /not a Tickwire/);
}

// Both codecs at the same time: what has the same topic and number must be the same.
async function testCodecsAgree() {
  const wish = {channels: ['trade', 'quote', 'book', 'status'], symbols: ['sim:BTC/USDT']};
  const [json, flatbuffers] = await Promise.all([take(600, {...wish, codec: 'json'}), take(600, {...wish, codec: 'flatbuffers'})]);
  const key = (message) => `${message.type} ${message.seq}`;
  const others = new Map(flatbuffers.filter((each) => !each.isState).map((each) => [key(each), each]));
  let compared = 0;
  for (const message of json) {
    assert.notEqual(message.type, 'gap');
    assert.equal(message.symbol, 'BTC/USDT');
    const other = others.get(key(message));
    if (!other || message.isState || message.type === 'status') continue;
    assert.deepEqual({...message, snapshot: !!message.snapshot}, {...other, snapshot: !!other.snapshot});
    compared++;
  }
  assert.ok(compared > 200, `only ${compared} messages in both`);
  assert.ok(json.some((each) => each.type === 'book' && each.snapshot && each.bids.length > 5));
  return compared;
}

async function testRefusals() {
  const [refused] = await take(1, {channels: ['trade'], symbols: ['sim:NO/SUCH']});
  assert.equal(refused.type, 'error');
  assert.equal(refused.name, 'BadSymbol');
  assert.throws(() => connect(url, {WebSocket, codec: 'xml'}), /codec/);
}

testDecimals();
testExactJson();
await testRefusals();
console.log(`JavaScript client: ${await testCodecsAgree()} messages the same in both codecs`);
process.exit(0);
