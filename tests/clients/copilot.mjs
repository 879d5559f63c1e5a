// Drives GitHub Copilot's language server over stdio as an editor does, and prints what it suggests.
// node copilot.mjs PROGRAM ARGUMENTS… ; the server under test and its key are in GH_COPILOT_… variables.
import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';

const SOURCE = 'import math\n\ndef area(r):\n    return ';
const uri = 'file:///shapes.py';
const [program, ...given] = process.argv.slice(2);
const server = spawn(program, [...given, '--stdio'], { stdio: ['pipe', 'pipe', 'inherit'] });
const waiting = new Map();
const logged = [];
let received = Buffer.alloc(0);

function send(message) {
  const body = Buffer.from(JSON.stringify({ jsonrpc: '2.0', ...message }));
  server.stdin.write(`Content-Length: ${body.length}\r\n\r\n`);
  server.stdin.write(body);
}

function ask(method, params) {
  const id = waiting.size + 1;
  send({ id, method, params });
  return new Promise((resolve, reject) => waiting.set(id, { resolve, reject }));
}

function hear(message) {
  if (message.method) {
    logged.push(JSON.stringify(message.params));
    if (message.id !== undefined) send({ id: message.id, result: null });
  } else if (message.error) waiting.get(message.id).reject(new Error(message.error.message));
  else waiting.get(message.id).resolve(message.result);
}

server.stdout.on('data', chunk => {
  received = Buffer.concat([received, chunk]);
  for (;;) {
    const head = /^Content-Length: (\d+)\r\n(?:.+\r\n)*\r\n/i.exec(received.toString('latin1'));
    const end = head ? head[0].length + Number(head[1]) : Infinity;
    if (received.length < end) return;
    const message = JSON.parse(received.subarray(head[0].length, end).toString());
    received = received.subarray(end);
    hear(message);
  }
});

const editor = { name: 'turbopilot-test', version: '1.0' };
await ask('initialize', {
  processId: process.pid,
  capabilities: {},
  initializationOptions: { editorInfo: editor, editorPluginInfo: editor }
});
send({ method: 'initialized', params: {} });
send({ method: 'workspace/didChangeConfiguration', params: { settings: { telemetry: { telemetryLevel: 'off' } } } });
const { status } = await ask('checkStatus', {});
send({
  method: 'textDocument/didOpen',
  params: { textDocument: { uri, languageId: 'python', version: 1, text: SOURCE } }
});
send({ method: 'textDocument/didFocus', params: { textDocument: { uri } } });

let items = [];
for (let attempt = 0; attempt < 20 && !items.length; attempt++) {
  await sleep(attempt && 500);
  const found = await ask('textDocument/inlineCompletion', {
    textDocument: { uri, version: 1 },
    position: { line: 3, character: 11 },
    context: { triggerKind: 1 },
    formattingOptions: { tabSize: 4, insertSpaces: true }
  });
  items = found?.items ?? [];
}
console.log(JSON.stringify({ status, texts: items.map(item => item.insertText) }));
if (!items.length) console.error(logged.join('\n'));
server.kill();
process.exit(0);
