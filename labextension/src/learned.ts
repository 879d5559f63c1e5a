/** What was learned from suggestions that were taken or not: this week’s counts, and the reset. */

import { Dialog, showDialog } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { Availability } from './availability';
import type { ICompletionClient } from './client';
import type { Notice } from './notice';
import type { IWeek } from './wire';
import { describeError } from './words';

/** Return a function that shows what was learned, and has it forgotten where the person wants that. */
export function learnedDialog(
  client: Pick<ICompletionClient, 'forget'>,
  availability: Availability,
  notice: Notice,
  trans: TranslationBundle
): () => Promise<void> {
  return async () => {
    await availability.check();
    const week = availability.state.health?.week;
    if (!week) {
      return;
    }
    const asked = await showDialog({
      title: trans.__('What Turbopilot Has Learned'),
      body: [
        trans.__('Of %1 suggestions that appeared this week, you took %2.', week.shown, week.taken),
        trans.__(
          'From those that you take, type over or dismiss, it learns how sure it must be before it suggests something. ' +
            'It keeps only numbers, in a file on your server that only you can read.'
        ),
        trans.__(
          'Reset forgets all of it, for every model and setting, and this week’s counts with it: suggestions then appear ' +
            'as with a new installation. The settings and the index of your notebooks stay as they are.'
        )
      ].join(' '),
      buttons: [Dialog.cancelButton(), Dialog.warnButton({ label: trans.__('Reset') })],
      defaultButton: 0 // Enter resets nothing
    });
    if (!asked.button.accept) {
      return;
    }
    try {
      await client.forget();
      notice.brief(trans.__('Turbopilot has forgotten what it learned.'));
    } catch (reason) {
      notice.brief(describeError(trans, reason));
    }
    await availability.check();
  };
}

/** How many suggestions were taken, as a line of a menu. */
export function describeWeek(trans: TranslationBundle, week: IWeek | null): string {
  return week?.shown
    ? trans.__('Suggestions Taken This Week: %1 of %2…', week.taken, week.shown)
    : trans.__('Suggestions Taken This Week: None Yet…');
}
