/** A notebook with a kernel and without a model, and the offers in it. */

import path from 'node:path';
import { openFile, openLab, writeNotebook } from './lab.mjs';

export const OFFER = '.jp-Turbopilot-offer';

/** Open a notebook, and record the requests to some of Turbopilot's routes. */
export async function openOffers(name, routes) {
  const { lab, browser, close } = await openLab({
    loaded: false,
    environment: { TURBOPILOT_MODELS: path.join(import.meta.dirname, 'no-models') }
  });
  try {
    return { ...(await offersIn(lab, browser.context, name, routes)), close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function offersIn(lab, context, name, routes) {
  writeNotebook(lab, name, ['']);
  const page = await openFile(context, lab, name);
  await page.waitForFunction(
    () =>
      window.jupyterapp.shell.currentWidget.context.sessionContext.session?.kernel?.connectionStatus ===
      'connected'
  );
  // Otherwise the state could be announced between an offer and its test.
  await page.locator('.jp-Turbopilot-live', { hasText: 'no model' }).waitFor({ state: 'attached' });
  const requests = [];
  page.on('request', request => {
    const route = request.url().match(/\/turbopilot\/(\w+)/)?.[1];
    if (routes.includes(route)) {
      requests.push({ route, ...JSON.parse(request.postData() ?? '{}') });
    }
  });
  const offer = () => page.locator(OFFER);
  return {
    page,
    requests,
    offer,
    cellAt: index => page.locator('.jp-Notebook .jp-Cell').nth(index),
    button: name => offer().getByRole('button', { name, exact: true }),
    gone: () => offer().waitFor({ state: 'detached', timeout: 5000 }),
    sent: route => requests.filter(request => request.route === route)
  };
}
