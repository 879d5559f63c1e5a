/**
 * Measures the browser's engine in Node.js, which runs WebAssembly like Chromium.
 *
 *     node research/benchmarks/browser/engine.mjs [--model model.gguf] [--notebooks notebooks.json.gz] [--rounds 5]
 *
 * Prints the median of all rounds, the 95th percentile of the aborts, and with `--notebooks` the evaluated
 * characters per typed character. Needs the front end's packages (`make lab`).
 */

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { gunzipSync } from 'node:zlib';

const HERE = path.dirname(fileURLToPath(import.meta.url));
const FRONT = path.resolve(HERE, '..', '..', 'labextension');
const { build } = await import(pathToFileURL(path.join(FRONT, 'node_modules/esbuild/lib/main.js')).href);

const { values } = parseArgs({
  options: {
    model: { type: 'string', default: path.join(FRONT, 'models/characters.gguf') },
    notebooks: { type: 'string' },
    rounds: { type: 'string', default: '5' },
    aborts: { type: 'string', default: '60' },
    typed: { type: 'string', default: '2000' }
  }
});
const CODE = readFileSync(path.resolve(HERE, '../../../jupyter_turbopilot/suggestion/gate.py'), 'utf8');

const folder = mkdtempSync(path.join(tmpdir(), 'engine-'));
try {
  const outfile = path.join(folder, 'engine.mjs');
  await build({ entryPoints: [path.join(HERE, 'engine.ts')], bundle: true, format: 'esm', outfile, logLevel: 'error' });
  const { Engine, Timing, evaluatedPerKey, middle } = await import(pathToFileURL(outfile).href);
  const module = new WebAssembly.Module(readFileSync(path.join(FRONT, 'wasm/engine.wasm')));
  const load = () => Engine.load(new Uint8Array(readFileSync(values.model)), module);
  const timing = new Timing(load());
  await timing.keystroke(CODE, 440); // compiles the code
  const measured = {};
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const [what, size] of Object.entries({ evaluation: [440], generation: [440], keystroke: [200, 440, 1900] })) {
      for (const count of size) {
        (measured[`${what}, ${count} characters before`] ??= []).push(await timing[what](CODE, count));
      }
    }
  }
  for (const [what, times] of Object.entries(measured)) {
    console.log(`${what}: ${middle(times).toFixed(3)} ms`);
  }
  const [few, many] = [200, 1900].map(count => middle(measured[`keystroke, ${count} characters before`]));
  console.log(`a keystroke, 1 900 / 200 characters before: ${(many / few).toFixed(2)}`);
  const aborts = [];
  for (let number = 0; number < Number(values.aborts); number++) {
    aborts.push(await timing.abort(CODE, (number * 997) % 1500));
  }
  aborts.sort((a, b) => a - b);
  console.log(`from an abort to the end, p95: ${aborts[Math.floor(0.95 * aborts.length)].toFixed(1)} ms`);
  if (values.notebooks) {
    const notebooks = JSON.parse(gunzipSync(readFileSync(values.notebooks)));
    const count = await evaluatedPerKey(load(), notebooks, Number(values.typed));
    console.log(`characters evaluated per typed character: ${count.toFixed(2)}`);
  }
} finally {
  rmSync(folder, { recursive: true });
}
