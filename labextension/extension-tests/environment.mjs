/** Helpers of the tests with other extensions. */

import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';

/** The text that the engine suggests at every position. */
export const SUGGESTED = '_value + second_value';

/** Collect the requests of a page for suggestions; prefetching does not count. */
export function listen(page) {
  const asked = [];
  page.on('request', request => {
    if (request.url().includes('turbopilot/complete')) {
      const { trigger } = request.postDataJSON();
      if (trigger === 'automatic' || trigger === 'invoke') {
        asked.push(trigger);
      }
    }
  });
  return asked;
}

/** Return the text of a cell of the current notebook. */
export function sourceOf(page, index = 0) {
  return page.evaluate(
    at => window.jupyterapp.shell.currentWidget.content.model.cells.get(at).sharedModel.getSource(),
    index
  );
}

/** Wait until a function returns this value. */
export async function until(read, value) {
  for (const end = Date.now() + 10_000; Date.now() < end && (await read()) !== value;) {
    await sleep(30);
  }
  assert.equal(await read(), value);
}
