/** A real JupyterLab with the real model, and a real browser to type in it. */

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const HERE = path.dirname(fileURLToPath(import.meta.url));
export const ROOT = path.resolve(HERE, '..', '..');
export const RESULTS = path.join(ROOT, 'labextension', 'ui-results');
const TOKEN = 'a-token-for-tests';
export const GHOST = '.jp-GhostText';

const BROWSERS = [
  process.env.CHROME_BIN,
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/usr/bin/google-chrome-stable',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  '/Applications/Chromium.app/Contents/MacOS/Chromium'
];

export function findBrowser() {
  const found = BROWSERS.find(candidate => candidate && existsSync(candidate));
  if (!found) {
    throw new Error(
      'The browser test needs Chromium or Chrome. On Debian: sudo apt-get install chromium. Or set CHROME_BIN.'
    );
  }
  return found;
}

export async function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

const python = () => path.join(path.dirname(process.env.JUPYTER ?? ''), 'python');

/**
 * Start a server. `settings` are JupyterLab's, by plugin; `environment` and `flags` are the server's.
 * `eagerness` is `always` unless told otherwise: how grey text behaves is tested, not when it is worth showing.
 * `says` puts an engine in the model's place that writes this text at every place. With `memory` an index of what is
 * in the server's folder is kept, among the server's own files: where the default model is not. `learning`: whether
 * anything is learned from suggestions, and kept in a folder of the test's own. `home`: whether `~` is the test's own.
 */
export async function startLab({
  environment = {},
  flags = [],
  settings = {},
  app = 'lab',
  eagerness = 'always',
  memory = false,
  learning = false,
  home: ownHome = false,
  says = ''
} = {}) {
  const home = mkdtempSync(path.join(tmpdir(), 'turbopilot-ui-'));
  const work = path.join(home, 'work');
  mkdirSync(work);
  cpSync(path.join(ROOT, 'binder', 'demo.ipynb'), path.join(work, 'demo.ipynb'));
  const user = path.join(home, 'user-settings');
  const defaults = {
    '@jupyterlab/apputils-extension:notification': { fetchNews: 'false', checkForUpdates: false },
    '@jupyterlab/notebook-extension:tracker': { codeCellConfig: { autoClosingBrackets: true } }
  };
  for (const [plugin, values] of Object.entries({ ...defaults, ...settings })) {
    const [name, id] = plugin.split(':');
    mkdirSync(path.join(user, name), { recursive: true });
    writeFileSync(path.join(user, name, `${id}.jupyterlab-settings`), JSON.stringify(values));
  }
  // The front end as it was built here, whatever is installed.
  const share = path.join(home, 'share');
  mkdirSync(path.join(share, 'labextensions'), { recursive: true });
  symlinkSync(
    path.join(ROOT, 'jupyter_turbopilot', 'labextension'),
    path.join(share, 'labextensions', 'jupyter-turbopilot')
  );
  const config = path.join(home, 'config');
  mkdirSync(config);
  if (says) {
    const tiny = path.join(home, 'tiny.gguf');
    writeFileSync(
      path.join(config, 'jupyter_server_config.py'),
      'from pathlib import Path\n' +
        'from jupyter_turbopilot.pilot import pilot\n' +
        'from jupyter_turbopilot.pilot.kinds.llama import LlamaKind\n' +
        'from tests.scripted_engine import ScriptedEngine\n' +
        'from tests.tiny_model import write_tiny_model\n' +
        `write_tiny_model(Path(${JSON.stringify(tiny)}))\n` +
        `c.Turbopilot.model = ${JSON.stringify(tiny)}\n` +
        `load = lambda *_: ScriptedEngine(${JSON.stringify(says)})\n` +
        'pilot.kind_of = lambda settings, store: LlamaKind(settings, store, load)\n'
    );
  }
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const lab = { url, port, token: TOKEN, work, home, log: () => log, pid: () => server.pid };
  let log = '';
  let server;

  /** Start the server's process and wait until it answers. */
  lab.start = async (token = TOKEN) => {
    lab.token = token;
    const own = (server = spawn(
      process.env.JUPYTER ?? 'jupyter',
      [
        app,
        '--allow-root',
        '--no-browser',
        '--LabApp.expose_app_in_browser=True',
        `--ServerApp.port=${port}`,
        '--ServerApp.port_retries=0',
        '--ServerApp.ip=127.0.0.1',
        `--Turbopilot.eagerness=${eagerness}`,
        `--Turbopilot.notebook_index=${memory ? 'True' : 'False'}`,
        `--Turbopilot.learning=${learning ? 'True' : 'False'}`,
        '--Turbopilot.deadline=25', // answers are whole on a busy machine, too
        `--IdentityProvider.token=${token}`,
        `--ServerApp.root_dir=${work}`,
        `--LabServerApp.user_settings_dir=${user}`,
        `--LabServerApp.workspaces_dir=${path.join(home, 'workspaces')}`,
        ...flags
      ],
      {
        env: {
          ...process.env,
          PYTHONPATH: [ROOT, process.env.PYTHONPATH].filter(Boolean).join(path.delimiter),
          JUPYTER_PATH: share,
          JUPYTER_CONFIG_DIR: config,
          JUPYTER_RUNTIME_DIR: path.join(home, 'runtime'),
          IPYTHONDIR: path.join(home, 'ipython'),
          ...(memory ? { XDG_DATA_HOME: path.join(home, 'data') } : {}),
          ...(ownHome ? { HOME: home } : {}),
          ...(learning ? { XDG_CACHE_HOME: path.join(home, 'cache') } : {}),
          ...environment
        },
        stdio: ['ignore', 'pipe', 'pipe']
      }
    ));
    own.stdout.on('data', data => (log += data));
    own.stderr.on('data', data => (log += data));
    const end = Date.now() + 60_000;
    for (;;) {
      try {
        await lab.get('api/status');
        break;
      } catch (error) {
        if (Date.now() > end || own.exitCode !== null) {
          await lab.stop();
          throw new Error(`The server did not start (${error}).\n${log}`);
        }
        await new Promise(resolve => setTimeout(resolve, 100));
      }
    }
  };

  /** End the server's process. */
  lab.kill = async (signal = 'SIGKILL') => {
    const own = server;
    if (own.exitCode === null && own.signalCode === null) {
      const gone = new Promise(resolve => own.once('exit', resolve));
      own.kill(signal);
      const hard = setTimeout(() => own.kill('SIGKILL'), 8000);
      await gone;
      clearTimeout(hard);
    }
  };

  lab.stop = async () => {
    await lab.kill('SIGTERM');
    rmSync(home, { recursive: true, force: true });
  };

  const get = route => fetch(`${url}/${route}`, { headers: { Authorization: `token ${lab.token}` } });
  lab.get = async route => (await get(route)).json();
  lab.text = async route => (await get(route)).text();

  lab.put = async (route, body) =>
    fetch(`${url}/${route}`, {
      method: 'PUT',
      headers: { Authorization: `token ${lab.token}` },
      body: JSON.stringify(body)
    });

  lab.delete = async route =>
    fetch(`${url}/${route}`, { method: 'DELETE', headers: { Authorization: `token ${lab.token}` } });

  await lab.start();
  return lab;
}

/** Code with only one probable continuation: after it, `.` is typed, and `height` follows. */
export const RECTANGLE = `class Rectangle:
    def __init__(self, width, height):
        self.width = width
        self.height = height

    def area(self):
        return self.width * self`;

/** Wait until the model is loaded. */
export async function ready(lab) {
  for (const end = Date.now() + 60_000; Date.now() < end;) {
    const health = await lab.get('turbopilot/health');
    if (health.ready) {
      return health;
    }
    if (health.phase === 'failed') {
      throw new Error(`The model is not there: ${health.reason}`);
    }
    await new Promise(resolve => setTimeout(resolve, 100));
  }
  throw new Error('The model did not load in time.');
}

/** Open a browser; `flags` are Chromium's, beside those that every test wants. */
export async function openBrowser(flags = []) {
  const profile = mkdtempSync(path.join(tmpdir(), 'turbopilot-chromium-'));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: findBrowser(),
    headless: true,
    viewport: { width: 1180, height: 760 },
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      ...flags
    ]
  });
  const close = async () => {
    await context.close();
    rmSync(profile, { recursive: true, force: true });
  };
  return { context, close };
}

/** Start a server, with its model loaded unless told otherwise, and a browser; `close` ends both. */
export async function openLab({ loaded = true, ...options } = {}) {
  const [browser, lab] = await Promise.all([openBrowser(), startLab(options)]);
  const close = () => Promise.all([browser.close(), lab.stop()]);
  try {
    if (loaded) {
      await ready(lab);
    }
  } catch (error) {
    await close();
    throw error;
  }
  return { lab, browser, close };
}

/** Where the default model is on this machine. */
export function defaultModel() {
  return runPython(
    'from jupyter_turbopilot.models.catalog import catalog\n' +
      'from jupyter_turbopilot.models.folder import models_dir\n' +
      'print(models_dir() / catalog()["qwen2.5-coder-0.5b"].file)'
  ).trim();
}

/** Open a file in JupyterLab and wait until it can be typed in; `before` runs in the page before all else. */
export async function openFile(context, lab, file, { reset = true, url = lab.url, before = null } = {}) {
  const page = await context.newPage();
  if (before) {
    await page.addInitScript(before);
  }
  page.on('dialog', dialog => dialog.accept().catch(() => undefined));
  await page.goto(`${url}/lab/tree/${file}?token=${lab.token}${reset ? '&reset' : ''}`);
  await page.waitForSelector('#jupyterlab-splash', { state: 'detached', timeout: 60000 });
  await page.waitForSelector('.jp-Turbopilot-status', { timeout: 60000 });
  if (file.endsWith('.ipynb')) {
    // JupyterLab sets its completer up anew when the kernel connects, and drops what was on its way.
    await page.waitForSelector('.jp-Notebook-ExecutionIndicator[data-status="idle"]', { timeout: 60000 });
  }
  return page;
}

/** A notebook of code cells, or of whole ones. */
function notebookOf(cells, metadata) {
  return {
    cells: cells.map((cell, index) => {
      const whole = typeof cell === 'string' ? { cell_type: 'code', source: cell } : cell;
      return {
        id: `cell-${index}`,
        metadata: {},
        ...(whole.cell_type === 'code' ? { execution_count: null, outputs: [] } : {}),
        ...whole
      };
    }),
    metadata: {
      kernelspec: { display_name: 'Python 3 (ipykernel)', language: 'python', name: 'python3' },
      language_info: {
        name: 'python',
        mimetype: 'text/x-python',
        codemirror_mode: { name: 'ipython', version: 3 }
      },
      ...metadata
    },
    nbformat: 4,
    nbformat_minor: 5
  };
}

/** Write a notebook into the server's folder. */
export function writeNotebook(lab, name, cells, metadata = {}) {
  writeFileSync(path.join(lab.work, name), JSON.stringify(notebookOf(cells, metadata)));
}

/** Replace the cells of the notebook that is open: its page and its kernel stay. */
export async function setCells(page, cells) {
  await page.evaluate(
    content => window.jupyterapp.shell.currentWidget.context.model.fromJSON(content),
    notebookOf(cells, {})
  );
}

/** Open a document in a page that is open. */
export async function openTab(page, file) {
  await page.evaluate(path => window.jupyterapp.commands.execute('docmanager:open', { path }), file);
}

/** Save a notebook as an editor does: the server knows of it. */
export async function saveNotebook(lab, name, cells) {
  await lab.put(`api/contents/${name}`, { type: 'notebook', content: notebookOf(cells, {}) });
}

/** Put the cursor at the end of a cell. */
export async function editCell(page, index) {
  const cell = page.locator('.jp-Notebook .jp-Cell').nth(index);
  await cell.waitFor({ timeout: 60000 });
  await cell.locator('.cm-content').click();
  await page.keyboard.press('Control+End');
  return cell;
}

/** Run the first cell of a notebook whose kernel may just have come up, until it has run. */
export async function runFirstCell(page) {
  const prompt = page.locator('.jp-Notebook .jp-Cell .jp-InputArea-prompt').first();
  const shows = (pattern, timeout) => prompt.filter({ hasText: pattern }).waitFor({ timeout });
  // Such a kernel may say it is idle before it is connected.
  for (let tries = 0; ; tries++) {
    await editCell(page, 0);
    await page.keyboard.press('Shift+Enter');
    try {
      await shows(/[\d*]/, 2500);
      break;
    } catch (error) {
      if (tries === 5) {
        throw error;
      }
    }
  }
  await shows(/\d/, 60_000);
}

/** What a cell's editor holds, without the grey text. */
export async function textOf(cell) {
  return cell.locator('.cm-content').evaluate(node => {
    const lines = [...node.querySelectorAll('.cm-line')].map(line => {
      const copy = line.cloneNode(true);
      copy.querySelectorAll('.jp-GhostText').forEach(ghost => ghost.remove());
      return copy.textContent;
    });
    return lines.join('\n');
  });
}

/** Wait until a cell's editor holds a text, without the grey text. */
export async function holds(cell, text) {
  const end = Date.now() + 5000;
  while ((await textOf(cell)) !== text && Date.now() < end) {
    await new Promise(resolve => setTimeout(resolve, 50));
  }
  assert.equal(await textOf(cell), text);
}

/** Wait until there is no grey text. */
export async function gone(page) {
  await page.waitForSelector(GHOST, { state: 'detached', timeout: 5000 });
}

/** Wait for grey text that has come to its end, and return it. */
export async function ghost(page, { timeout = 60000 } = {}) {
  await page.waitForSelector(GHOST, { timeout });
  let last = '';
  for (let same = 0, tries = 0; same < 4 && tries < 400; tries++) {
    const now = await page
      .locator(GHOST)
      .first()
      .innerText()
      .catch(() => '');
    const streaming = await page.locator('.jp-GhostText-streamingIndicator').count();
    same = now && now === last && !streaming ? same + 1 : 0;
    last = now;
    await page.waitForTimeout(60);
  }
  return last.replace(/\n+$/, '');
}

export async function screenshot(page, name) {
  mkdirSync(RESULTS, { recursive: true });
  await page.screenshot({ path: path.join(RESULTS, `${name}.png`) });
}

export function runPython(code, environment = {}) {
  const found = spawnSync(python(), ['-c', code], {
    env: { ...process.env, ...environment },
    encoding: 'utf8'
  });
  if (found.status !== 0) {
    throw new Error(found.stderr);
  }
  return found.stdout;
}
