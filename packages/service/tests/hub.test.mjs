/** Two users of a real JupyterHub with one model, in real browsers. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, test } from 'node:test';
import {
  defaultModel,
  editCell,
  GHOST,
  ghost,
  openBrowser,
  openFile,
  RECTANGLE,
  ROOT,
  screenshot,
  textOf,
  writeNotebook
} from '../../../labextension/ui-tests/lab.mjs';

/** Seconds until ghost text must return: the service starts, and both servers connect to it. */
const SOON = 40_000;
const PEOPLE = ['ada', 'bob'];

/** Start a hub with the service and two users' servers; `say` stops or starts the service. */
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
      path.join(import.meta.dirname, 'hub', 'real_hub.py'),
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
  const say = async word => {
    started.stdin.write(`${word}\n`);
    assert.equal((await lines.next()).value, 'done');
  };
  return { url, service, home: path.join(home, 'hub', 'home'), say, stop };
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
  const cell = await editCell(typing, 0);
  return { name, page: typing, cell, close: browser.close };
}

describe('two users of a JupyterHub with one model', { timeout: 300_000 }, () => {
  let hub;
  let people = [];

  before(async () => {
    hub = await startHub();
    people = await Promise.all(PEOPLE.map(name => arrive(hub, name)));
  });

  after(async () => {
    await Promise.all(people.map(person => person.close()));
    await hub?.stop();
  });

  test('both get ghost text and see the host that their code is sent to', async () => {
    const shown = await Promise.all(
      people.map(async ({ name, page }) => {
        await page.keyboard.type('.');
        const text = await ghost(page);
        const status = page.locator('.jp-Turbopilot-status');
        assert.ok((await status.innerText()).includes(hub.service), 'the address is not shown');
        assert.match(await status.getAttribute('title'), new RegExp(`Code is sent to ${hub.service}`));
        await screenshot(page, `hub-${name}`);
        await status.click();
        await page.getByText('Models…').first().click();
        const panel = page.locator('.jp-Turbopilot-models');
        await panel.getByText(`The model runs on ${hub.service}`).waitFor();
        assert.equal(await panel.locator('form').isVisible(), false);
        await page.locator('.lm-TabBar-tab', { hasText: 'shapes.ipynb' }).first().click();
        await editCell(page, 0);
        return text;
      })
    );
    assert.deepEqual(shown, ['height', 'height']);
  });

  test('a stopped service is reported once, and ghost text returns with it', async () => {
    await hub.say('stop');
    await Promise.all(
      people.map(async ({ name, page, cell }) => {
        await page.keyboard.type('x', { delay: 60 });
        const status = page.locator('.jp-Turbopilot-status');
        await page.waitForFunction(
          () => document.querySelector('.jp-Turbopilot-status').dataset.condition === 'failed',
          null,
          { timeout: SOON }
        );
        await page.keyboard.type('yz', { delay: 60 });
        assert.match(await textOf(cell), /self\.xyz$/);
        assert.equal(await page.locator('.jp-Dialog').count(), 0);
        // A replaced notification slides out first.
        await page.waitForFunction(() => document.querySelectorAll('.Toastify__toast').length <= 1);
        assert.ok(await status.isVisible());
        await screenshot(page, `hub-${name}-stopped`);
      })
    );
    await hub.say('start');
    const shown = await Promise.all(
      people.map(async ({ name, page }) => {
        for (let i = 0; i < 3; i++) {
          await page.keyboard.press('Backspace');
        }
        const end = Date.now() + SOON;
        while (!(await page.locator(GHOST).count()) && Date.now() < end) {
          await page.keyboard.type('w', { delay: 60 });
          await page.waitForTimeout(500);
          if (!(await page.locator(GHOST).count())) {
            await page.keyboard.press('Backspace');
          }
        }
        const text = await ghost(page);
        await screenshot(page, `hub-${name}-back`);
        return text;
      })
    );
    for (const text of shown) {
      // The service may be back before the next keystroke.
      assert.match(text, /^(height|idth)/);
    }
  });
});
