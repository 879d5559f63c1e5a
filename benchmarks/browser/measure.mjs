/**
 * Measures the engine of the browser beside wllama in one page of one Chromium, and beside llama.cpp on one core.
 *
 *     npm pack @wllama/wllama@3.8.1 && tar -xzf wllama-wllama-3.8.1.tgz
 *     node benchmarks/browser/measure.mjs --model model.gguf --wllama package
 *         [--notebooks notebooks.json.gz] [--python .venv/bin/python] [--rounds 5] [--prompts 200] [--aborts 60]
 *         [--typed 4000] [--exact f32.gguf] [--out results.json]
 *
 * The model is one that `jupyter turbopilot train --scratch` wrote, quantised to Q8_0; `--wllama` is the unpacked npm
 * package; `--exact` the same weights in single precision (`models quantize --force model.gguf exact.gguf
 * F32`), with which llama.cpp rounds nothing while it computes: how far off are our logits, and how far its own?
 * `--notebooks` is a set as `benchmarks/replay.py` types it. Each round measures A B C A B C; the middle of all rounds
 * is told, of aborts p95. Needs the front end's packages (`make dev`) and Chromium.
 */

import { spawn, spawnSync } from 'node:child_process';
import { createReadStream, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { gunzipSync } from 'node:zlib';

const HERE = path.dirname(fileURLToPath(import.meta.url));
const ROOT = path.resolve(HERE, '..', '..');
const FRONT = path.join(ROOT, 'labextension');
const { build } = await import(pathToFileURL(path.join(FRONT, 'node_modules/esbuild/lib/main.js')).href);
const { openBrowser } = await import(pathToFileURL(path.join(FRONT, 'ui-tests/lab.mjs')).href);

const { values } = parseArgs({
  options: {
    model: { type: 'string' },
    wllama: { type: 'string' },
    python: { type: 'string', default: path.join(ROOT, '.venv/bin/python') },
    rounds: { type: 'string', default: '5' },
    prompts: { type: 'string', default: '200' },
    aborts: { type: 'string', default: '60' },
    exact: { type: 'string' },
    notebooks: { type: 'string' },
    typed: { type: 'string', default: '4000' },
    out: { type: 'string' }
  }
});
const [rounds, prompts, aborts, typed] = [values.rounds, values.prompts, values.aborts, values.typed].map(
  Number
);
const FORCED = 16; // tokens of each prompt that are followed
// Real code of this repository, as characters every model has.
const CODE = ['training/samples.py', 'engine/worker.py', 'prompt/layout.py', 'models/gguf.py', 'request.py']
  .map(file =>
    readFileSync(path.join(ROOT, 'jupyter_turbopilot', file), 'utf8').replace(/[^\t\n\x20-\x7e]/g, ' ')
  )
  .join('\n');
const piece = (number, size) => {
  const at = (number * 7919) % (CODE.length - size);
  return CODE.slice(at, at + size);
};
/** As `training/scratch.py` numbers characters: tab, line feed, the stand-in, then the rest of ASCII. */
const encode = text =>
  Array.from(text, character => ({ '\t': 0, '\n': 1 })[character] ?? character.charCodeAt(0) - 29);

const worker = await build({
  entryPoints: [path.join(HERE, 'worker.ts')],
  bundle: true,
  format: 'iife',
  write: false,
  logLevel: 'error'
});
const files = {
  '/': ['text/html', '<!doctype html><title>Engines</title><script type="module" src="/page.js"></script>'],
  '/worker.js': ['text/javascript', worker.outputFiles[0].text],
  '/page.js': ['text/javascript', readFileSync(path.join(HERE, 'page.js'))],
  '/engine.wasm': ['application/wasm', readFileSync(path.join(FRONT, 'wasm/engine.wasm'))],
  '/model.gguf': ['application/octet-stream', readFileSync(values.model)]
};
const server = createServer((request, response) => {
  const { pathname } = new URL(request.url, 'http://localhost');
  if (files[pathname]) {
    response.setHeader('Content-Type', files[pathname][0]);
    response.end(files[pathname][1]);
  } else if (pathname.startsWith('/wllama/') && !pathname.includes('..')) {
    response.setHeader('Content-Type', pathname.endsWith('.wasm') ? 'application/wasm' : 'text/javascript');
    createReadStream(path.join(values.wllama, pathname.slice('/wllama/'.length)))
      .on('error', () => response.writeHead(404).end())
      .pipe(response);
  } else {
    response.writeHead(404).end();
  }
});
await new Promise(resolve => server.listen(0, '127.0.0.1', resolve));

/** llama.cpp in a child process. */
function native(model) {
  const child = spawn(values.python, [path.join(HERE, 'native.py'), model], {
    env: { ...process.env, PYTHONPATH: ROOT },
    stdio: ['pipe', 'pipe', 'ignore']
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    ask: async message => {
      child.stdin.write(JSON.stringify(message) + '\n');
      const { value, done } = await lines.next();
      if (done) {
        throw new Error('llama.cpp ended.');
      }
      return JSON.parse(value);
    },
    close: () => child.stdin.end()
  };
}

/** What typing evaluates, by the kind of typing: with the marks of each prompt, and without. */
async function traces() {
  const folder = mkdtempSync(path.join(tmpdir(), 'traces-'));
  try {
    const outfile = path.join(folder, 'traces.mjs');
    const entry = path.join(HERE, 'traces.ts');
    await build({ entryPoints: [entry], bundle: true, format: 'esm', outfile, logLevel: 'error' });
    const { Typist } = await import(pathToFileURL(outfile).href);
    const module = new WebAssembly.Module(readFileSync(path.join(FRONT, 'wasm/engine.wasm')));
    const typist = new Typist(new Uint8Array(readFileSync(values.model)), module);
    const notebooks = JSON.parse(gunzipSync(readFileSync(values.notebooks)));
    return {
      append: await typist.append(notebooks, typed),
      edit: await typist.edit(notebooks, typed >> 2),
      take: await typist.take(notebooks, typed >> 7)
    };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const middle = list => [...list].sort((a, b) => a - b)[list.length >> 1];
const at = (list, share) =>
  [...list].sort((a, b) => a - b)[Math.min(list.length - 1, Math.floor(list.length * share))];

const llama = native(values.model);
const exact = values.exact ? native(values.exact) : null;
const { context, close } = await openBrowser();
const browser = context.browser()?.version() ?? '';
const page = await context.newPage();
const call = (name, ...rest) => page.evaluate(([n, a]) => window.bench[n](...a), [name, rest]);
await page.goto(`http://127.0.0.1:${server.address().port}/`);
await page.waitForFunction(() => window.bench);

const seen = {};
const note = (name, ms) => (seen[name] ??= []).push(ms);
try {
  for (const name of ['ours', 'wllama']) {
    note(`${name} load`, await call('load', name));
    await call('keys', name, CODE, 440); // compiled by now
  }
  for (let round = 0; round < rounds; round++) {
    const text = piece(round + 1, 2100);
    for (const [what, size] of [
      ['read', 440],
      ['written', 440],
      ['keys', 440]
    ]) {
      for (const name of ['wllama', 'ours']) {
        note(`${name} ${what} ${size}`, await call(what, name, text, size));
      }
      if (what === 'written') {
        const { read, written } = await llama.ask({ do: 'times', ids: encode(text.slice(0, 440)) });
        note('native read 440', read);
        note('native written 440', written);
      }
    }
    for (const size of [200, 1900]) {
      note(`ours keys ${size}`, await call('keys', 'ours', text, size));
      note(`ours written ${size}`, await call('written', 'ours', text, size));
    }
  }
  seen['ours abort'] = await call('aborts', piece(3, 2100), aborts);
  let same = 0;
  for (let number = 0; number < prompts; number++) {
    const ids = encode(piece(number + 50, 20 + ((number * 37) % 400)));
    const [ours, theirs] = [
      await call('follow', ids, FORCED),
      await llama.ask({ do: 'follow', ids, count: FORCED })
    ];
    same += ours.filter((token, index) => token === theirs[index]).length;
  }
  const off = { ours: 0, 'llama.cpp': 0 };
  for (let number = 0; exact && number < prompts; number++) {
    const ids = encode(piece(number + 50, 20 + ((number * 37) % 400)));
    const known = await exact.ask({ do: 'logits', ids });
    for (const [name, row] of [
      ['ours', await call('logits', ids)],
      ['llama.cpp', await llama.ask({ do: 'logits', ids })]
    ]) {
      off[name] = Math.max(off[name], ...row.map((value, index) => Math.abs(value - known[index])));
    }
  }
  const of = Object.fromEntries(Object.entries(seen).map(([name, list]) => [name, middle(list)]));
  // Of each round's own ratio the middle: rounds differ more than what is measured in one of them.
  const ratio = (a, b) => middle(seen[a].map((value, round) => value / seen[b][round]));
  const rows = [
    ['written token, ours / wllama', ratio('ours written 440', 'wllama written 440'), 0.25],
    ['read token, ours / wllama', ratio('ours read 440', 'wllama read 440'), 0.3],
    ['written token, ours / native, one core', ratio('ours written 440', 'native written 440'), 1],
    ['keystroke, 16 characters, p50, ours / wllama', ratio('ours keys 440', 'wllama keys 440'), 0.25],
    ['keystroke, 1 900 / 200 before the cursor', ratio('ours keys 1900', 'ours keys 200'), 2.5],
    ['abort, p95, ms', at(seen['ours abort'], 0.95), 15],
    ['arg-max as llama.cpp, Q8_0', prompts ? same / (prompts * FORCED) : NaN, 0.99]
  ];
  if (exact) {
    rows.push(['largest difference of a logit, Q8_0', off.ours, 0.01]);
    rows.push(['the same, of llama.cpp itself', off['llama.cpp'], NaN]);
  }
  const counts = values.notebooks ? await traces() : {};
  for (const [kind, target] of [
    ['append', 1.5],
    ['take', 2],
    ['edit', NaN]
  ]) {
    if (counts[kind]) {
      rows.push([`characters evaluated for each typed, ${kind}`, counts[kind].evaluated / counts[kind].typed, target]);
    }
  }
  for (const [name, ms] of Object.entries(of)) {
    console.log(
      `${name.padEnd(24)} ${ms.toFixed(3)} ms  (${seen[name]
        .map(value => value.toFixed(2))
        .slice(0, 8)
        .join(' ')})`
    );
  }
  const { stdout } = spawnSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: ROOT, encoding: 'utf8' });
  console.log(`\nChromium ${browser}, ${new Date().toISOString().slice(0, 10)}, commit ${stdout.trim()}\n`);
  console.log('| what | measured | target |\n| --- | --- | --- |');
  for (const [name, value, target] of rows) {
    console.log(`| ${name} | ${value.toFixed(3)} | ${Number.isNaN(target) ? '' : target} |`);
  }
  if (values.out) {
    writeFileSync(values.out, JSON.stringify({ browser, seen, rows, counts }, null, 1) + '\n');
  }
} finally {
  llama.close();
  exact?.close();
  await close();
  server.close();
}
