/** Troubles and refusals, in words that say what to do next. */

import type { TranslationBundle } from '@jupyterlab/translation';
import type { Explained } from './decline';
import { type ITrouble, type Kind, troubleOf } from './trouble';

/** Say what went wrong when the server was asked. */
export function describeTrouble(trans: TranslationBundle, { kind, message }: ITrouble): string {
  const words: Record<Kind, string> = {
    told: message,
    busy: message || trans.__('The server has too many requests. It is asked again in a moment.'),
    unreachable: trans.__('The server cannot be reached.'),
    silent: trans.__('The server does not answer.'),
    garbled: trans.__(
      'Something else answers in the place of the server. Is there a proxy or a sign-in page?'
    ),
    cut: trans.__('The connection ended before the answer did.'),
    refused: trans.__('The server refuses to answer. Reload the page, and sign in if you are asked to.'),
    absent: trans.__(
      'The server extension is not running. Run: jupyter server extension enable jupyter_turbopilot'
    ),
    serverless: trans.__(
      'No Jupyter server answers here. To complete without one, choose “browser” at “Where to complete” in the settings.'
    ),
    stopped: trans.__('Your server is not running. Start it in the control panel of the JupyterHub.'),
    failed: trans.__('The server failed (%1).', message)
  };
  return words[kind] || trans.__('There are no suggestions at the moment.');
}

/** Say why a call failed. */
export function describeError(trans: TranslationBundle, reason: unknown): string {
  return describeTrouble(trans, troubleOf(reason));
}

/** Say why nothing is suggested to somebody who asked. */
export function describeDecline(
  trans: TranslationBundle,
  decline: Explained,
  trouble: ITrouble | null
): string {
  const words: Record<Explained, string> = {
    off: trans.__('Suggestions are switched off. Switch them on in the menu Settings, Turbopilot.'),
    snoozed: trans.__('Suggestions are snoozed in this document.'),
    language: trans.__(
      'Suggestions are switched off for cells of this kind (see “Disabled languages” in the settings).'
    ),
    private: trans.__('Nothing is suggested in files that may hold credentials.'),
    'read-only': trans.__('This cell cannot be edited.'),
    cursors: trans.__('Nothing is suggested while there are several cursors. Press Escape to keep one.'),
    selection: trans.__('Nothing is suggested while text is selected.'),
    unavailable: trouble ? describeTrouble(trans, trouble) : trans.__('The model is being loaded.'),
    nowhere: trans.__('Put the cursor into a cell, a file or a console first.'),
    nothing: trans.__('No suggestion here.')
  };
  return words[decline];
}
