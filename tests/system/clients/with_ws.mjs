// Reads the stream with Node's ws package; argv[2] is the ws:// URL.
import WebSocket from 'ws';

const wanted = 300;
const last = new Map();
let records = 0;
const socket = new WebSocket(process.argv[2], 'tickwire.v1.json');
socket.on('message', (bytes) => {
  const message = JSON.parse(bytes);
  if (message.op === 'hello') {
    socket.send(JSON.stringify({op: 'subscribe', id: 'a', channels: ['trade'], symbols: ['sim:*']}));
  } else if (message.op === 'subscribed') {
    for (const topic of message.topics) last.set(topic.symbol, topic.seq);
  } else if (message.type === 'trade') {
    if (message.seq !== last.get(message.symbol) + 1) throw new Error(`after ${last.get(message.symbol)}: ${bytes}`);
    last.set(message.symbol, message.seq);
    if (++records === wanted) socket.close(1000);
  }
});
socket.on('close', (code) => {
  if (code !== 1000 || records < wanted) throw new Error(`closed with ${code} after ${records} records`);
  console.log(`Node ws: ${records} records in order`);
});
