// ws_node.js - ws on Node: send() to every open client, as its README broadcasts. Messages come on standard input.
'use strict';
const { createRequire } = require('node:module');
const { WebSocketServer, WebSocket } = createRequire(process.cwd() + '/')('ws');

const server = new WebSocketServer({ host: '127.0.0.1', port: 0, backlog: 4096, perMessageDeflate: false });
let rest = Buffer.alloc(0);

function broadcast(message) {
  server.clients.forEach((client) => {
    if (client.readyState === WebSocket.OPEN) client.send(message, { binary: false });
  });
}

server.on('connection', (socket) => socket.on('error', () => socket.terminate()));
server.on('listening', () => {
  process.stdin.on('data', (data) => {
    let from = 0;
    const all = rest.length > 0 ? Buffer.concat([rest, data]) : data;
    for (let end = all.indexOf(10); end >= 0; end = all.indexOf(10, from)) {
      broadcast(all.subarray(from, end));
      from = end + 1;
    }
    rest = all.subarray(from);
  });
  process.stdin.on('end', () => process.exit(0));
  console.log('listening', server.address().port);
});
