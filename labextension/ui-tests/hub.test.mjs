/** Two users of a real JupyterHub with one model, in real browsers. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import {
  defaultModel,
  editCell,
  ghost,
  openBrowser,
  openFile,
  RECTANGLE,
  ROOT,
  screenshot,
  writeNotebook
} from './lab.mjs';

/** Start a hub with the service and two users' servers; `stop` ends them. */
async function startHub() {
  const home = mkdtempSync(path.join(tmpdir(), 'turbopilot-hub-'));
  const share = path.join(home, 'share');
  mkdirSync(path.join(share, 'labextensions'), { recursive: true });
  symlinkSync(
    path.join(ROOT, 'jupyter_turbopilot', 'labextension'),
    path.join(share, 'labextensions', 'jupyter-turbopilot')
  );
  const settings = path.join(home, 'settings', '@jupyterlab', 'apputils-extension');
  mkdirSync(settings, { recursive: true });
  writeFileSync(
    path.join(settings, 'notification.jupyterlab-settings'),
    JSON.stringify({ fetchNews: 'false', checkForUpdates: false })
  );
  const started = spawn(
    path.join(path.dirname(process.env.JUPYTER ?? ''), 'python'),
    [
      '-m',
      'tests.plugins.hub.real_hub',
      defaultModel(),
      path.join(home, 'hub'),
      '--Turbopilot.eagerness=always',
      `--LabServerApp.user_settings_dir=${path.join(home, 'settings')}`,
      '--LabApp.expose_app_in_browser=True'
    ],
    { cwd: ROOT, env: { ...process.env, JUPYTER_PATH: share }, stdio: ['pipe', 'pipe', 'inherit'] }
  );
  const lines = createInterface({ input: started.stdout })[Symbol.asyncIterator]();
  const stop = async () => {
    if (started.exitCode === null) {
      const gone = new Promise(resolve => started.once('exit', resolve));
      started.stdin.end();
      await gone;
    }
    rmSync(home, { recursive: true, force: true });
  };
  const line = await lines.next();
  if (line.done) {
    await stop();
    throw new Error('The hub did not start.');
  }
  const { url, service } = JSON.parse(line.value);
  return { url, service, home: path.join(home, 'hub', 'home'), stop };
}

/** A logged-in user with an open notebook on their own server. */
async function arrive(hub, name) {
  const browser = await openBrowser();
  const page = await browser.context.newPage();
  await page.goto(`${hub.url}/hub/login`);
  await page.fill('#username_input', name);
  await page.fill('#password_input', 'any');
  await page.click('#login_submit');
  await page.waitForURL(`**/user/${name}/**`, { timeout: 60_000 });
  const lab = { url: `${hub.url}/user/${name}`, token: '', work: path.join(hub.home, name) };
  writeNotebook(lab, 'shapes.ipynb', [RECTANGLE]);
  const typing = await openFile(browser.context, lab, 'shapes.ipynb');
  await page.close();
  await editCell(typing, 0);
  return { name, page: typing, close: browser.close };
}

test(
  'two users of a JupyterHub with one model get ghost text and see the host of the service',
  { timeout: 300_000 },
  async t => {
    const hub = await startHub();
    t.after(hub.stop);
    const people = await Promise.all(['ada', 'bob'].map(name => arrive(hub, name)));
    t.after(() => Promise.all(people.map(person => person.close())));
    for (const { name, page } of people) {
      await page.keyboard.type('.');
      assert.equal(await ghost(page), 'height');
      const status = page.locator('.jp-Turbopilot-status');
      assert.ok((await status.innerText()).includes(hub.service), 'the address is not shown');
      assert.match(await status.getAttribute('title'), new RegExp(`Code is sent to ${hub.service}`));
      await screenshot(page, `hub-${name}`);
    }
  }
);
