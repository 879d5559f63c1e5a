/** The dialog with this week’s acceptance statistics, which can also reset the learned thresholds. */

import { Dialog, showDialog } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { Availability } from './availability';
import type { ICompletionClient } from './client';
import type { Notice } from './notice';

import { describeError } from './messages';

/** Return a function that shows the statistics and, if the user confirms, resets the learned thresholds. */
export function learningDialog(
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
      title: trans.__('Statistics'),
      body: [
        week.shown
          ? trans.__(
              'You accepted %1 of %2 suggestions this week, which saved %3.',
              week.accepted,
              week.shown,
              trans._n('%1 keystroke', '%1 keystrokes', week.saved)
            )
          : trans.__('No suggestions were shown this week.'),
        week.retained === null
          ? ''
          : trans.__(
              'Of the accepted characters, %1 % were still there when their cell was run next.',
              Math.round(100 * week.retained)
            ),
        trans.__(
          'Turbopilot adjusts its confidence threshold to the suggestions that you accept, type over or dismiss. ' +
            'It stores only numbers, in a file on your server that only you can read.'
        ),
        trans.__(
          'Reset Statistics and Learning deletes these numbers for all models and levels of eagerness, including this week’s statistics. ' +
            'Your settings and the notebook index do not change.'
        )
      ]
        .filter(Boolean)
        .join(' '),
      buttons: [
        Dialog.cancelButton({ label: trans.__('Close') }),
        Dialog.warnButton({ label: trans.__('Reset Statistics and Learning') })
      ],
      defaultButton: 0 // Enter closes
    });
    if (!asked.button.accept) {
      return;
    }
    try {
      await client.forget();
      notice.brief(trans.__('Turbopilot has reset its learned thresholds.'));
    } catch (reason) {
      notice.brief(`Turbopilot: ${describeError(trans, reason)}`);
    }
    await availability.check();
  };
}
