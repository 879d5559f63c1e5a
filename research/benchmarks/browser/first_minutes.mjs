/**
 * Records the first minutes of a new user: installation, JupyterLab, the download of the model, the first suggestion.
 *
 *     make wheel
 *     JUPYTER=.venv/bin/jupyter node research/benchmarks/browser/first_minutes.mjs dist/*.whl [--links FOLDER]
 *
 * Installs the wheel in a new environment, and starts JupyterLab there with an empty home folder. The default model of
 * this machine is served from a local port in place of Hugging Face, at the speed given by --speed (MB per second).
 * Prints the seconds of each step, and each notification and dialog with the step in which it appeared. `--links` is
 * the folder of a built engine.
 */

import { spawn, spawnSync } from 'node:child_process';
import { createReadStream, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { performance } from 'node:perf_hooks';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..', '..', '..');
const load = name => import(pathToFileURL(path.join(ROOT, 'labextension', 'ui-tests', name)).href);
const { defaultModel, freePort, ghost, openBrowser, screenshot } = await load('lab.mjs');

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    links: { type: 'string' },
    speed: { type: 'string', default: '12' }
  }
});
const TYPED = ['import numpy as np', 'x = np.li']; // as in docs/install.md
const BETWEEN_KEYS = 120; // milliseconds

const home = mkdtempSync(path.join(tmpdir(), 'turbopilot-first-'));
const programs = path.join(home, 'environment', 'bin');
const program = name => path.join(programs, name);
const environment = {
  ...Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(JUPYTER|XDG_|PYTHON|TURBOPILOT|IPYTHON)/.test(name))
  ),
  PATH: `${programs}${path.delimiter}${process.env.PATH}`,
  HOME: home
};
let step = '';

/** Do one step and print its seconds. */
async function timed(name, action) {
  step = name;
  const begun = performance.now();
  const result = await action();
  console.log(`| ${name} | ${((performance.now() - begun) / 1000).toFixed(1)} s |`);
  return result;
}

function run(command, ...options) {
  const done = spawnSync(command, options, {
    env: environment,
    encoding: 'utf8'
  });
  if (done.status !== 0) {
    throw new Error(`${command} ${options.join(' ')} failed:\n${done.stdout}${done.stderr}`);
  }
}

/** Serve the model as Hugging Face does, with limited speed. */
async function serveModel(model) {
  const size = statSync(model).size;
  const chunk = 1 << 18;
  const pause = (1000 * chunk) / (Number(values.speed) * 1e6);
  const server = createServer(async (request, response) => {
    response.writeHead(200, { 'Content-Length': size, ETag: '"v1"' });
    if (request.method === 'HEAD') {
      response.end();
      return;
    }
    let due = performance.now();
    for await (const part of createReadStream(model, {
      highWaterMark: chunk
    })) {
      if (response.destroyed) {
        return;
      }
      response.write(part);
      due += pause;
      await new Promise(resolve => setTimeout(resolve, Math.max(0, due - performance.now())));
    }
    response.end();
  });
  await new Promise(resolve => server.listen(0, '127.0.0.1', resolve));
  return server;
}

/** Report each new notification and dialog, and each new text of the status item. */
function watch() {
  const seen = new Set();
  const selectors = {
    notification: '.Toastify__toast',
    dialog: '.jp-Dialog',
    status: '.jp-Turbopilot-status'
  };
  const look = () => {
    for (const [kind, selector] of Object.entries(selectors)) {
      for (const node of document.querySelectorAll(selector)) {
        const text = node.innerText.replace(/\s+/g, ' ').trim();
        const form = `${kind}: ${text.replace(/\d+ MB of/, '… MB of').replace(/\d+ ms/, '… ms')}`;
        if (text && !seen.has(form)) {
          seen.add(form);
          window.report(`${kind}: ${text}`);
        }
      }
    }
  };
  new MutationObserver(look).observe(document, {
    childList: true,
    subtree: true,
    characterData: true
  });
}

const source = await serveModel(defaultModel());
const browser = await openBrowser();
let server;
const seen = [];
try {
  const pip = (...packages) => run(program('python'), '-m', 'pip', 'install', '-q', ...packages);
  run(path.join(path.dirname(process.env.JUPYTER), 'python'), '-m', 'venv', path.dirname(programs));
  await timed('`pip install jupyterlab numpy`', () => pip('jupyterlab', 'numpy'));
  const links = values.links ? ['--find-links', values.links, '--only-binary', 'llama-cpp-python'] : [];
  await timed('`pip install jupyter-turbopilot`', () => pip(...links, ...positionals));

  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  mkdirSync(path.join(home, 'work'));
  await timed('`jupyter lab` until the server responds', async () => {
    server = spawn(
      program('jupyter'),
      ['lab', '--allow-root', '--no-browser', `--ServerApp.port=${port}`, '--IdentityProvider.token=first'],
      {
        cwd: path.join(home, 'work'),
        env: {
          ...environment,
          HF_ENDPOINT: `http://127.0.0.1:${source.address().port}`
        },
        stdio: 'ignore'
      }
    );
    while (!(await fetch(`${url}/api/status?token=first`).catch(() => null))?.ok) {
      await new Promise(resolve => setTimeout(resolve, 50));
    }
  });

  const page = await browser.context.newPage();
  await page.exposeFunction('report', text => seen.push([step, text]));
  await page.addInitScript(watch);
  const offer = page.locator('.Toastify__toast', { hasText: 'Download' });
  const state = text =>
    page.waitForFunction(
      expected => document.querySelector('.jp-Turbopilot-status')?.textContent.includes(expected),
      text,
      { timeout: 600_000 }
    );
  await timed('the page until it can be used', async () => {
    await page.goto(`${url}/lab?token=first`);
    await page.waitForSelector('#jupyterlab-splash', {
      state: 'detached',
      timeout: 120_000
    });
    await page.locator('.jp-LauncherCard').first().waitFor();
  });
  await timed('until the download is offered', () => offer.first().waitFor({ timeout: 120_000 }));
  await page.waitForTimeout(5000);
  await screenshot(page, 'first-1-offer');
  await timed(`*Download*, at ${values.speed} MB/s`, async () => {
    await offer.getByRole('button', { name: 'Download' }).click();
    await page.locator('.Toastify__toast', { hasText: /[1-9]\d\d MB of/ }).waitFor({ timeout: 600_000 });
    await screenshot(page, 'first-2-progress');
    await page.waitForFunction(() => !/\d MB of|Verifying/.test(document.body.innerText), null, {
      timeout: 600_000
    });
  });
  await screenshot(page, 'first-3-stored');
  await timed('until the status bar shows *ready*', () => state('ready'));
  await screenshot(page, 'first-4-ready');
  await timed('a new notebook until its kernel is idle', async () => {
    await page.locator('.jp-LauncherCard[data-category="Notebook"]').first().click();
    await page.waitForSelector('.jp-Notebook-ExecutionIndicator[data-status="idle"]', { timeout: 120_000 });
  });
  await page.locator('.jp-Notebook .cm-content').first().click();
  await page.keyboard.type(TYPED[0], { delay: BETWEEN_KEYS });
  await page.keyboard.press('Enter');
  await page.keyboard.type(TYPED[1].slice(0, -1), { delay: BETWEEN_KEYS });
  step = 'the last typed character until grey text appears';
  await page.keyboard.type(TYPED[1].slice(-1));
  await timed(step, () => page.waitForSelector('.jp-GhostText', { timeout: 60_000 }));
  console.log(`| its text | \`${await ghost(page)}\` |`);
  await screenshot(page, 'first-5-suggestion');
  await timed('Tab until the notification about the index', async () => {
    await page.keyboard.press('Tab');
    await page
      .locator('.Toastify__toast', { hasText: 'indexes your notebooks' })
      .waitFor({ timeout: 60_000 });
  });
  await page.waitForTimeout(1000); // until it has moved in
  await screenshot(page, 'first-6-index');
} finally {
  console.log(seen.map(([during, text]) => `${during}: ${text}`).join('\n'));
  server?.kill();
  await browser.close();
  source.closeAllConnections();
  source.close();
  rmSync(home, { recursive: true, force: true });
}
