/** Messages to the user: errors, reasons for no suggestion, the progress of the notebook index. */

import type { TranslationBundle } from '@jupyterlab/translation';
import type { Explained, HiddenReason } from './decline';
import { type IRequestError, type ErrorKind, requestErrorOf } from './requesterror';
import type { INotebookIndex } from './wire';

/** Describe an error and how to resolve it. */
export function describeRequestError(trans: TranslationBundle, { kind, message }: IRequestError): string {
  const messages: Record<ErrorKind, string> = {
    reported: message,
    busy: message || trans.__('The server is busy. Retrying…'),
    limited: message,
    unreachable: trans.__('The server cannot be reached.'),
    timeout: trans.__('The server does not respond.'),
    unexpected: trans.__('Got a web page instead of an answer. Log in again or check your proxy.'),
    incomplete: trans.__('Connection lost. Try again.'),
    denied: trans.__('The server denied access. Reload the page and log in again.'),
    missing: trans.__(
      'The server extension is not running. Run jupyter server extension enable jupyter_turbopilot, then restart JupyterLab.'
    ),
    'no server': trans.__('No Jupyter server responds. Set “Engine” to “browser” in the settings.'),
    stopped: trans.__('Your server is not running. Start it in the JupyterHub control panel.'),
    failed: trans.__('The server returned an error (%1).', message)
  };
  return messages[kind] || trans.__('Suggestions are not available.');
}

/** Describe an exception. */
export function describeError(trans: TranslationBundle, reason: unknown): string {
  return describeRequestError(trans, requestErrorOf(reason));
}

/** Describe the progress of the notebook index. */
export function describeIndex(trans: TranslationBundle, index: INotebookIndex | null): string {
  if (!index) {
    return trans.__('not available');
  }
  if (index.error) {
    return trans.__('not available (%1)', index.error);
  }
  if (!index.building) {
    return trans._n('%1 file', '%1 files', index.files);
  }
  switch (index.paused) {
    case 'kernel':
      return trans.__('%1 of %2 files, paused while a kernel is busy', index.files, index.found);
    case 'battery':
      return trans.__('%1 of %2 files, paused on battery power', index.files, index.found);
    default:
      return trans.__('indexing, %1 of %2 files', index.files, index.found);
  }
}

/** Explain why an explicit request returns no suggestion. */
export function describeDecline(
  trans: TranslationBundle,
  decline: Explained,
  error: IRequestError | null
): string {
  const messages: Record<Explained, string> = {
    off: trans.__('Suggestions are off.'),
    stopped: trans.__('Suggestions are off until the page is reloaded.'),
    denied: trans.__('Your administrator has turned suggestions off in this document.'),
    'disabled in notebook': trans.__('Suggestions are off in this notebook.'),
    'invalid metadata': trans.__('Suggestions off: metadata “turbopilot.enabled” must be true or false.'),
    paused: trans.__('Suggestions are off in this document.'),
    language: trans.__('Suggestions are off for this language (“Disabled languages” setting).'),
    private: trans.__('Suggestions are off in files that may contain credentials.'),
    'read-only': trans.__('This cell is read-only.'),
    cursors: trans.__('Suggestions need a single cursor. Press Escape to remove the others.'),
    selection: trans.__('Suggestions are not available while text is selected.'),
    unavailable: error ? describeRequestError(trans, error) : trans.__('The model is loading.'),
    nowhere: trans.__('Place the cursor in a cell, a file or a console first.'),
    timeout: trans.__('No suggestion within the time limit: the computer is busy. Try again.'),
    nothing: trans.__('No suggestion at this position.')
  };
  return messages[decline];
}

/** Describe why the last automatic request has no suggestion. */
export function describeHidden(trans: TranslationBundle, reason: HiddenReason | null): string {
  const messages: Partial<Record<HiddenReason, string>> = {
    unsure: trans.__('No suggestion: the model is not confident enough.'),
    short: trans.__('No suggestion: it would be too short to be worth reading.'),
    invalid: trans.__('No suggestion: the generated code does not fit here.'),
    unknown_name: trans.__('No suggestion: the generated code uses a name or a column that does not exist.'),
    nothing: trans.__('No suggestion: the model generated no text here.')
  };
  return reason === null ? '' : (messages[reason] ?? describeDecline(trans, reason as Explained, null));
}
