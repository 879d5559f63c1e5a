/** A static site, and a browser without other hosts. */

import { spawnSync } from 'node:child_process';
import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { ghost, openBrowser as openChromium, RESULTS, ROOT } from './lab.mjs';

const TYPES = {
  '.css': 'text/css',
  '.gguf': 'application/octet-stream',
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.json': 'application/json',
  '.mjs': 'text/javascript',
  '.svg': 'image/svg+xml',
  '.wasm': 'application/wasm'
};

/** The headers of a cross-origin isolated page. */
export const ISOLATED = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp'
};

/** The URL of the Pyodide kernel's runtime, which JupyterLite requests. */
const PYODIDE = 'https://cdn.jsdelivr.net/pyodide/';

/**
 * The test model by research/scripts/train_test_model.py, quantised to Q8_0. It has memorised a few lines: after
 * BEGUN, it generates REST.
 */
const MODEL = readFileSync(path.join(ROOT, 'labextension', 'ui-tests', 'model', 'rectangles.gguf'));
export const BEGUN = 'def area(width, height):\n    ret';
export const REST = 'urn width * height';

/** The test model's entry in a list. */
function entry(changes = {}, body = MODEL) {
  const sha256 = createHash('sha256').update(body).digest('hex');
  return { name: 'rectangles', url: 'rectangles.gguf', sha256, size: body.length, ...changes };
}

/** A list of models with the test model. */
export function listed(changes = {}) {
  return JSON.stringify({ models: [entry(changes)] });
}

/** The same model in two files with two names, and their entries in a list. */
export function twoModelsIn(folder) {
  const other = Buffer.concat([MODEL, Buffer.alloc(32)]);
  const models = [
    entry({ licence: 'Apache-2.0', use: 'any language' }),
    entry({ name: 'shapes', url: 'shapes.gguf', licence: 'MIT', language: 'python' }, other)
  ];
  return {
    [`${folder}models.json`]: { body: JSON.stringify({ models }) },
    [`${folder}rectangles.gguf`]: { body: MODEL },
    [`${folder}shapes.gguf`]: { body: other }
  };
}

/** The files of a site's folder: the test model, or another one, and its list. */
export function modelIn(folder, body = MODEL) {
  const models = [entry({}, body)];
  return {
    [`${folder}models.json`]: { body: JSON.stringify({ models }) },
    [`${folder}rectangles.gguf`]: { body }
  };
}

/**
 * Serve a folder below a path. `files` replace those of the folder, with a status, a body and headers; one that is `cut`
 * ends in the middle, one that is `stuck` stalls there. `asked` lists the requests, `missing` those without a file.
 */
export async function serveSite(folder, { prefix = '/', headers = {}, files = {} } = {}) {
  const asked = [];
  const missing = [];
  const server = createServer((request, response) => {
    const address = decodeURIComponent(new URL(request.url, 'http://site').pathname);
    const name = address.startsWith(prefix) ? address.slice(prefix.length) : null;
    asked.push(name);
    const file = name === null ? null : (site.files[name] ?? onDisk(folder, name));
    if (!file) {
      missing.push(address);
      response.writeHead(404, headers).end('There is no such file.');
      return;
    }
    const type = TYPES[path.extname(file.path ?? name)] ?? 'text/plain';
    response.writeHead(file.status ?? 200, {
      'Content-Type': type,
      'Cache-Control': 'no-cache',
      ...(file.cut || file.stuck ? { 'Content-Length': file.body.length } : {}),
      ...headers,
      ...file.headers
    });
    if (file.stuck) {
      response.write(file.body.subarray(0, file.body.length / 2));
    } else if (file.cut) {
      response.write(file.body.subarray(0, file.body.length / 2), () => response.destroy());
    } else {
      response.end(file.body);
    }
  });
  await new Promise(resolve => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  const site = {
    url: `http://127.0.0.1:${port}${encodeURI(prefix)}`,
    files,
    asked,
    missing,
    stop: () =>
      new Promise(resolve => {
        server.close(resolve);
        server.closeAllConnections();
      })
  };
  return site;
}

function onDisk(folder, name) {
  let found = path.join(folder, name);
  try {
    if (statSync(found).isDirectory()) {
      found = path.join(found, 'index.html');
    }
    return { path: found, body: readFileSync(found) };
  } catch {
    return null;
  }
}

/** Open a browser that reaches only this machine; `outside` lists requests to other hosts. */
export async function openAlone() {
  const browser = await openChromium(['--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1']);
  const outside = [];
  browser.context.on('request', request => {
    const { protocol, hostname } = new URL(request.url());
    const ours = !protocol.startsWith('http') || hostname === '127.0.0.1';
    if (!ours && !request.url().startsWith(PYODIDE)) {
      outside.push(request.url());
    }
  });
  return { ...browser, outside };
}

/** Build a JupyterLite site with the extension, an empty notebook and an empty file; return its folder. */
function buildLite() {
  const home = path.join(RESULTS, 'lite');
  const site = path.join(home, 'site');
  const extension = path.join(ROOT, 'jupyter_turbopilot', 'labextension');
  const jupyter = process.env.JUPYTERLITE ?? path.join(ROOT, '.make', 'lite', 'bin', 'jupyter');
  const newest = [jupyter, path.join(extension, 'static', 'models.json'), fileURLToPath(import.meta.url)]
    .map(file => statSync(file).mtimeMs)
    .reduce((one, other) => Math.max(one, other));
  const done = path.join(home, 'done');
  if (existsSync(done) && statSync(done).mtimeMs > newest) {
    return site; // another file of tests has built it
  }
  rmSync(home, { recursive: true, force: true });
  mkdirSync(path.join(home, 'files'), { recursive: true });
  writeFileSync(path.join(home, 'files', 'shapes.ipynb'), NOTEBOOK);
  writeFileSync(path.join(home, 'files', 'shapes.py'), '');
  writeFileSync(
    path.join(home, 'jupyter-lite.json'),
    JSON.stringify({
      'jupyter-lite-schema-version': 0,
      'jupyter-config-data': { exposeAppInBrowser: true }
    })
  );
  const built = spawnSync(
    jupyter,
    [
      'lite',
      'build',
      '--output-dir=site',
      '--no-sourcemaps',
      '--apps=lab',
      '--apps=notebooks',
      '--apps=edit',
      '--apps=tree',
      '--contents=files',
      `--LiteBuildConfig.federated_extensions=${extension}`
    ],
    { cwd: home, encoding: 'utf8' }
  );
  if (built.status !== 0) {
    throw new Error(
      `The site was not built. (make .make/lite)\n${built.stdout}${built.stderr}${built.error ?? ''}`
    );
  }
  writeFileSync(done, '');
  return site;
}

/** The path of the extension's files in a site. */
export const STATIC = 'extensions/jupyter-turbopilot/static/';

const NOTEBOOK = JSON.stringify({
  cells: [{ id: 'one', cell_type: 'code', source: '', metadata: {}, execution_count: null, outputs: [] }],
  metadata: {
    kernelspec: { display_name: 'Python (Pyodide)', language: 'python', name: 'python' },
    language_info: { name: 'python' }
  },
  nbformat: 4,
  nbformat_minor: 5
});

/** Build the static page. */
export function buildPage() {
  const folder = mkdtempSync(path.join(tmpdir(), 'turbopilot-page-'));
  const front = path.join(ROOT, 'labextension');
  const built = spawnSync(
    path.join(front, 'node_modules', '.bin', 'vite'),
    ['build', 'demo', '--config', 'demo/vite.config.mjs', '--outDir', folder, '--logLevel', 'warn'],
    { cwd: front, encoding: 'utf8' }
  );
  if (built.status !== 0) {
    throw new Error(`The page was not built.\n${built.stdout}${built.stderr}`);
  }
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

/** Build a JupyterLite site if necessary, and open a browser for it; `changes` are changes of its configuration. */
export async function openLite(changes = {}, openBrowser = openAlone) {
  const folder = buildLite();
  const config = JSON.parse(readFileSync(path.join(folder, 'jupyter-lite.json'), 'utf8'));
  Object.assign(config['jupyter-config-data'], changes);
  const sites = [];
  const browser = await openBrowser();
  const close = async () => {
    await browser.close();
    await Promise.all(sites.map(site => site.stop()));
  };
  /** Serve the site, with the test model by default. */
  const serve = async ({ files = modelIn(STATIC), ...options } = {}) => {
    files['jupyter-lite.json'] ??= { body: JSON.stringify(config) };
    const site = await serveSite(folder, { files, ...options });
    sites.push(site);
    return site;
  };
  const open = async (site, address = 'lab/index.html?path=shapes.ipynb') => {
    const page = await browser.context.newPage();
    await page.goto(site.url + address);
    return page;
  };
  return { config, browser, serve, open, close };
}

/** Request at a position where the test model's text already follows the cursor. */
export async function askInVain(page) {
  await page.keyboard.insertText(BEGUN + REST);
  for (let moved = 0; moved < REST.length; moved++) {
    await page.keyboard.press('ArrowLeft');
  }
  await page.keyboard.press('Alt+\\');
}

/**
 * Type the text that the test model continues; return the ghost text. JupyterLab drops an answer that arrives while it
 * creates its completer, shortly after a page has opened: then request the answer again.
 */
export async function typeBegun(page) {
  await page.keyboard.insertText(BEGUN.slice(0, -1));
  await page.keyboard.type(BEGUN.at(-1));
  try {
    return await ghost(page, { timeout: 20_000 });
  } catch {
    await page.keyboard.press('Alt+\\');
    return ghost(page);
  }
}
