/**
 * Measures the additional start-up time of JupyterLab with the browser's engine, compared with the server's.
 *
 *     JUPYTER=.venv/bin/jupyter node research/benchmarks/browser/start.mjs [--rounds 10]
 *
 * Opens JupyterLab without a document, alternating between the engines (A B B A). A start ends when the application
 * is restored. Prints the median of all rounds, and the downloaded bytes.
 */

import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..', '..', '..');
const load = name => import(pathToFileURL(path.join(ROOT, 'labextension', 'ui-tests', name)).href);
const { openLab } = await load('lab.mjs');

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '10' } } });
const EXTENSION = /\/extensions\/jupyter-turbopilot\//;
const MODEL = /\.gguf$|\.wasm$|models\.json$/;

const { lab, browser, close } = await openLab({ says: 'nothing' });
const measured = { server: [], browser: [] };
try {
  for (let round = 0; round <= Number(values.rounds); round++) {
    const engines = Object.keys(measured);
    for (const engine of round % 2 ? engines : engines.reverse()) {
      const start = await started(engine);
      if (round) {
        measured[engine].push(start); // the first start of each engine fills the caches
      }
    }
  }
} finally {
  await close();
}
const middle = numbers => [...numbers].sort((one, other) => one - other)[Math.floor(numbers.length / 2)];
for (const [engine, starts] of Object.entries(measured)) {
  const [ms, bytes, model] = ['ms', 'bytes', 'model'].map(key => middle(starts.map(start => start[key])));
  console.log(`${engine}: ${ms.toFixed(0)} ms; ${bytes} bytes of the extension, ${model} of them of a model`);
}
const more = measured.browser.map(({ ms }, at) => ms - measured.server[at].ms);
console.log(`additional time in the same round: ${middle(more).toFixed(0)} ms (median)`);

/** Start JupyterLab once; return milliseconds and the bytes of the extension's files. */
async function started(engine) {
  await lab.put('lab/api/settings/jupyter-turbopilot:plugin', {
    raw: JSON.stringify({ engine })
  });
  const page = await browser.context.newPage();
  const fetched = [];
  page.on('response', response => {
    if (EXTENSION.test(response.url())) {
      fetched.push(response.body().then(body => ({ url: response.url(), size: body.length })));
    }
  });
  await page.goto(`${lab.url}/lab?token=${lab.token}&reset`);
  const ms = await page.evaluate(async () => {
    while (!window.jupyterapp) {
      await new Promise(resolve => setTimeout(resolve, 1));
    }
    await window.jupyterapp.restored;
    return performance.now();
  });
  await page.waitForTimeout(1500);
  const files = (await Promise.allSettled(fetched)).flatMap(({ value }) => value ?? []);
  await page.close();
  const sum = some => some.reduce((total, { size }) => total + size, 0);
  return { ms, bytes: sum(files), model: sum(files.filter(({ url }) => MODEL.test(url))) };
}
