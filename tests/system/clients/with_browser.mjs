// Opens page.html in a headless Chromium and waits until it has its records; argv: browser, page, ws:// URL, profile folder.
import {spawn} from 'node:child_process';
import WebSocket from 'ws';

const [browser, page, url, profile] = process.argv.slice(2);
const chromium = spawn(browser, [
  '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync', `--user-data-dir=${profile}`, '--remote-debugging-port=0',
  `file://${page}#${url}`,
], {stdio: ['ignore', 'ignore', 'pipe']});

const port = await new Promise((resolve, reject) => {
  let said = '';
  chromium.stderr.on('data', (bytes) => {
    said += bytes;
    const found = said.match(/DevTools listening on ws:\/\/[^:]+:(\d+)/);
    if (found) resolve(found[1]);
  });
  chromium.on('exit', () => reject(new Error(said)));
});

async function firstPage() {
  for (;;) {
    const targets = await (await fetch(`http://127.0.0.1:${port}/json`)).json();
    const target = targets.find((each) => each.type === 'page' && each.url.includes('page.html'));
    if (target) return target.webSocketDebuggerUrl;
  }
}

const devtools = new WebSocket(await firstPage());
const ask = () => devtools.send(JSON.stringify({
  id: 1, method: 'Runtime.evaluate', params: {expression: "document.getElementById('out').textContent"},
}));
devtools.on('open', ask);
devtools.on('message', (bytes) => {
  const text = JSON.parse(bytes).result?.result?.value ?? '';
  if (!text.startsWith('received') && !text.includes('closed')) {
    ask();
    return;
  }
  console.log(`browser page: ${text}`);
  process.exitCode = text.startsWith('received') ? 0 : 1;
  devtools.close();
  chromium.kill();
});
