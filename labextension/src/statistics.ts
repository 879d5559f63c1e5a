/** The dialog with this week’s statistics of suggestions, which can also reset them. */

import { Dialog, showDialog } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { Availability } from './availability';
import type { IClient } from './client';
import type { Notice } from './notice';
import { describeError } from './messages';

/** Show the statistics and, if the user chooses so, reset them. */
export async function showStatistics(
  client: Pick<IClient, 'resetStatistics'>,
  availability: Availability,
  notice: Notice,
  trans: TranslationBundle
): Promise<void> {
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
        'Turbopilot stores only these numbers, in a file on your server that only you can read. ' +
          'Reset Statistics deletes them.'
      )
    ]
      .filter(Boolean)
      .join(' '),
    buttons: [
      Dialog.cancelButton({ label: trans.__('Close') }),
      Dialog.warnButton({ label: trans.__('Reset Statistics') })
    ],
    defaultButton: 0 // Enter closes
  });
  if (!asked.button.accept) {
    return;
  }
  try {
    await client.resetStatistics();
    notice.brief(trans.__('Turbopilot has reset its statistics.'));
  } catch (reason) {
    notice.brief(`Turbopilot: ${describeError(trans, reason)}`);
  }
  await availability.check();
}
