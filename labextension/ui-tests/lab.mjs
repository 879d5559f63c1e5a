/** A real JupyterLab with the real model, and a real browser to type in it. */

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const HERE = path.dirname(fileURLToPath(import.meta.url));
export const ROOT = path.resolve(HERE, '..', '..');
export const RESULTS = path.join(ROOT, 'labextension', 'ui-results');
const PICTURES = path.join(ROOT, 'docs', 'pictures');
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

const groups = new Set(); // the servers' process groups

/** End the child processes of a server, and the server if it is still running. */
function endGroup(pid) {
  if (groups.delete(pid)) {
    try {
      process.kill(-pid, 'SIGKILL');
    } catch {
      // All of them have ended.
    }
  }
}

process.on('exit', () => groups.forEach(endGroup));
['SIGINT', 'SIGTERM'].forEach(signal => process.once(signal, () => process.exit(1)));

/**
 * Start a server. `settings` are JupyterLab's, by plugin; `environment` and `flags` are the server's. `eagerness` is
 * `always` by default: most tests need ghost text regardless of its confidence. `says` replaces the model with an engine
 * that always generates this text. `memory` enables the notebook index, in a temporary data folder without the default
 * model. `home` makes `~` a temporary folder. `extensions` are the names of other front-end extensions in the
 * environment that JupyterLab loads.
 * `files` of the demo are copied to the server's folder. `plain` starts the installed extensions with their defaults.
 */
export async function startLab({
  environment = {},
  flags = [],
  settings = {},
  app = 'lab',
  eagerness = 'always',
  memory = false,
  home: ownHome = false,
  says = '',
  files = ['demo.ipynb'],
  extensions = [],
  plain = false
} = {}) {
  const home = mkdtempSync(path.join(tmpdir(), 'turbopilot-ui-'));
  const work = path.join(home, 'work');
  mkdirSync(work);
  files.forEach(name => cpSync(path.join(ROOT, 'binder', name), path.join(work, name)));
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
  // The front end that was built here, not an installed one.
  const share = path.join(home, 'share');
  const loaded = path.join(share, 'labextensions');
  mkdirSync(loaded, { recursive: true });
  if (!plain) {
    symlinkSync(
      path.join(ROOT, 'jupyter_turbopilot', 'labextension'),
      path.join(loaded, 'jupyter-turbopilot')
    );
  }
  for (const name of extensions) {
    mkdirSync(path.dirname(path.join(loaded, name)), { recursive: true });
    symlinkSync(
      path.join(path.dirname(process.env.JUPYTER), '..', 'share', 'jupyter', 'labextensions', name),
      path.join(loaded, name)
    );
  }
  const config = path.join(home, 'config');
  mkdirSync(config);
  if (says) {
    const tiny = path.join(home, 'tiny.gguf');
    writeFileSync(
      path.join(config, 'jupyter_server_config.py'),
      'from pathlib import Path\n' +
        'from jupyter_turbopilot.jupyter.pilot import pilot\n' +
        'from jupyter_turbopilot.engine.llama.kind import LlamaKind\n' +
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
  const ours = [
    `--Turbopilot.eagerness=${eagerness}`,
    `--Turbopilot.notebook_index=${memory ? 'True' : 'False'}`,
    '--Turbopilot.deadline=25', // answers are whole on a busy machine, too
    `--LabServerApp.labextensions_path=${loaded}` // and none that is installed beside them
  ];
  const lab = { url, port, plain, token: TOKEN, work, home, pid: () => server.pid };
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
        `--IdentityProvider.token=${token}`,
        `--ServerApp.root_dir=${work}`,
        `--LabServerApp.user_settings_dir=${user}`,
        `--LabServerApp.workspaces_dir=${path.join(home, 'workspaces')}`,
        ...(plain ? [] : ours),
        ...flags
      ],
      {
        env: {
          ...process.env,
          ...(plain
            ? {}
            : {
                PYTHONPATH: [ROOT, process.env.PYTHONPATH].filter(Boolean).join(path.delimiter),
                XDG_CACHE_HOME: path.join(home, 'cache') // with the statistics
              }),
          JUPYTER_PATH: share,
          JUPYTER_CONFIG_DIR: config,
          JUPYTER_RUNTIME_DIR: path.join(home, 'runtime'),
          IPYTHONDIR: path.join(home, 'ipython'),
          ...(memory ? { XDG_DATA_HOME: path.join(home, 'data') } : {}),
          ...(ownHome ? { HOME: home } : {}),
          ...environment
        },
        stdio: ['ignore', 'pipe', 'pipe'],
        detached: true // in a process group
      }
    ));
    groups.add(own.pid);
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
    endGroup(own.pid);
  };

  lab.stop = async () => {
    await lab.kill('SIGTERM');
    // Kernels, which have their own process groups, may still write.
    rmSync(home, { recursive: true, force: true, maxRetries: 10 });
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

/** Code with one likely continuation: after `.`, `height` follows. */
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

/** Pixels for each CSS pixel: pictures are sharp on dense screens. */
const SCALE = process.env.UPDATE_PICTURES ? 2 : 1;

/** Open a browser; `flags` are additional flags of Chromium. */
export async function openBrowser(flags = []) {
  const profile = mkdtempSync(path.join(tmpdir(), 'turbopilot-chromium-'));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: findBrowser(),
    headless: true,
    viewport: { width: 1180, height: 760 },
    deviceScaleFactor: SCALE,
    args: [
      `--force-device-scale-factor=${SCALE}`, // the frames of a screencast ignore the emulated factor
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

/** Start a server, with its model loaded by default, and a browser; `close` ends both. */
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

/** The path of the default model on this machine. */
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
  if (!lab.plain) {
    await page.waitForSelector('.jp-Turbopilot-status', { timeout: 60000 });
  }
  if (file.endsWith('.ipynb')) {
    // The content replaces all that is in the notebook, and the indicator is idle before there is a kernel.
    await page.waitForFunction(() => window.jupyterapp?.shell.currentWidget?.context?.isReady);
    // JupyterLab recreates its completer when the kernel connects, and drops pending answers.
    await page.waitForSelector('.jp-Notebook-ExecutionIndicator[data-status="idle"]', { timeout: 60000 });
  }
  return page;
}

/** A notebook from sources of code cells, or from whole cells. */
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

/** Replace the cells of the open notebook; page and kernel stay. */
export async function setCells(page, cells) {
  await page.evaluate(
    content => window.jupyterapp.shell.currentWidget.context.model.fromJSON(content),
    notebookOf(cells, {})
  );
}

/** Settings without notifications, such as the one about the notebook index. */
export const SILENT = {
  '@jupyterlab/apputils-extension:notification': {
    fetchNews: 'false',
    checkForUpdates: false,
    doNotDisturbMode: true
  }
};

/** Settings without grey text, unless it is requested. */
export const ON_DEMAND = { 'jupyter-turbopilot:plugin': { mode: 'on demand' } };

/** Let kernels that start from now on show tracebacks of one line: others name folders of this machine. */
export function shortTracebacks(lab) {
  const profile = path.join(lab.home, 'ipython', 'profile_default');
  mkdirSync(profile, { recursive: true });
  writeFileSync(path.join(profile, 'ipython_config.py'), 'c.InteractiveShell.xmode = "Minimal"\n');
}

/** Execute a command of JupyterLab, and wait for its end. */
export async function execute(page, command, options = {}) {
  await page.evaluate(
    async ([name, given]) => void (await window.jupyterapp.commands.execute(name, given)),
    [command, options]
  );
}

/** Wait until the status item shows a text. */
export async function showsStatus(page, text, timeout = 30_000) {
  await page.locator('.jp-Turbopilot-status', { hasText: text }).waitFor({ state: 'attached', timeout });
}

/** Open a document in an open page. */
export async function openTab(page, file) {
  await execute(page, 'docmanager:open', { path: file });
}

/** Save a notebook through the server, as an editor does. */
export async function saveNotebook(lab, name, cells) {
  await lab.put(`api/contents/${name}`, { type: 'notebook', content: notebookOf(cells, {}) });
}

/** Put the cursor at the end of a cell. */
export async function editCell(page, index) {
  const cell = page.locator('.jp-Notebook .jp-Cell').nth(index);
  await cell.waitFor({ timeout: 60000 });
  // JupyterLab 4.4 activates the first cell once more after a click, if all cells have just been replaced.
  for (let tries = 0; tries < 5; tries++) {
    await cell.locator('.cm-content').click();
    await page.waitForTimeout(tries ? 200 : 60);
    if (await cell.evaluate(node => node.classList.contains('jp-mod-active'))) {
      break;
    }
  }
  await page.keyboard.press('Control+End');
  return cell;
}

/** Run the first code cell, which has this index. */
export async function runFirstCell(page, index = 0) {
  // A kernel that has just started may report idle before it is connected. A cell that is run then is lost.
  await page.waitForFunction(
    () =>
      window.jupyterapp.shell.currentWidget.context.sessionContext.session?.kernel?.connectionStatus ===
      'connected',
    null,
    { timeout: 60_000 }
  );
  const cell = await editCell(page, index);
  await page.keyboard.press('Shift+Enter');
  await cell.locator('.jp-InputArea-prompt').filter({ hasText: /\d/ }).waitFor({ timeout: 60_000 });
}

/** The text of a cell's editor without the ghost text. */
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

/** Wait until a cell's editor contains a text, without the ghost text. */
export async function holds(cell, text) {
  const end = Date.now() + 5000;
  while ((await textOf(cell)) !== text && Date.now() < end) {
    await new Promise(resolve => setTimeout(resolve, 50));
  }
  assert.equal(await textOf(cell), text);
}

/** Wait until there is no ghost text. */
export async function gone(page) {
  await page.waitForSelector(GHOST, { state: 'detached', timeout: 5000 });
}

/** Wait for complete ghost text, and return it. */
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

/** Take a picture for the documentation, if UPDATE_PICTURES is set: of the page, or of these parts of it. */
export async function picture(page, name, parts = [], margin = 8) {
  if (!process.env.UPDATE_PICTURES) {
    return;
  }
  await page.mouse.move(0, 0); // over a suggestion, it would open JupyterLab's toolbar
  await page.waitForFunction(() => !document.querySelector('.jp-InlineCompleter-hover'));
  const boxes = await Promise.all(parts.map(part => part.boundingBox()));
  const { width, height } = page.viewportSize();
  const left = Math.max(0, Math.min(...boxes.map(box => box.x - margin)));
  const top = Math.max(0, Math.min(...boxes.map(box => box.y - margin)));
  const right = Math.min(width, Math.max(...boxes.map(box => box.x + box.width + margin)));
  const bottom = Math.min(height, Math.max(...boxes.map(box => box.y + box.height + margin)));
  const file = path.join(PICTURES, `${name}.png`);
  mkdirSync(PICTURES, { recursive: true });
  await page.screenshot({
    path: file,
    clip: boxes.length ? { x: left, y: top, width: right - left, height: bottom - top } : undefined,
    animations: 'disabled',
    caret: 'initial'
  });
  const reduced = spawnSync(python(), [path.join(ROOT, 'scripts', 'reduce_colors.py'), file], {
    encoding: 'utf8'
  });
  assert.equal(reduced.status, 0, reduced.stderr);
  assert.ok(statSync(file).size <= 120_000, `${name}.png has ${statSync(file).size} bytes`);
  const shown = parts.length ? parts : [page.locator('body')];
  recordTexts(path.basename(name), (await Promise.all(shown.map(part => part.innerText()))).join('\n'));
}

/** List the interface's texts in a picture: tests/docs fails if the interface no longer has one of them. */
export function recordTexts(picture, visible) {
  const folder = path.join(ROOT, 'labextension');
  const sources = readdirSync(path.join(folder, 'src'), { recursive: true })
    .filter(file => /\.tsx?$/.test(file))
    .map(file => path.join('src', file));
  const texts = [...sources, 'schema/plugin.json']
    .flatMap(file => [
      ...readFileSync(path.join(folder, file), 'utf8').matchAll(
        /_[_n]\(\s*'([^'\\]+)'(?:,\s*'([^'\\]+)')?|"title": "([^"]+)"/g
      )
    ])
    .flatMap(([, ...found]) => found.filter(Boolean))
    .filter(text => /^[A-Z]/.test(text) && patternOf(text).test(visible));
  const file = path.join(PICTURES, 'texts.json');
  const all = { ...JSON.parse(readFileSync(file, 'utf8')), [picture]: [...new Set(texts)].sort() };
  writeFileSync(file, `${JSON.stringify(all, Object.keys(all).sort(), 2)}\n`);
}

/** Return a pattern that matches a message with any values of its placeholders. */
function patternOf(text) {
  return new RegExp(text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&').replace(/%\d/g, '.+'));
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
