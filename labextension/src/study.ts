/** That a log is kept of what becomes of suggestions: in the menu, and in more words. */

import type { TranslationBundle } from '@jupyterlab/translation';
import type { IStudy } from './wire';

/** Say in a line of a menu that there is a log. */
export function describeStudy(trans: TranslationBundle, study: IStudy | null): string {
  if (!study) {
    return trans.__('No Study Log Is Kept');
  }
  if (study.trouble) {
    return trans.__('A Study Log Is On, but Cannot Be Written…');
  }
  return study.text
    ? trans.__('A Study Log Is On, With the Text of Suggestions…')
    : trans.__('A Study Log Is On…');
}

/** Say what is in it, where it is, and how it ends. */
export function explainStudy(trans: TranslationBundle, { text, file, trouble }: IStudy): string {
  const holds = text
    ? trans.__(
        'For a study, the server logs what becomes of the suggestions that you see: when they appear, their text, which you take, type over or dismiss, and how much of them stays. Suggestions that look like secrets are logged without their text.'
      )
    : trans.__(
        'For a study, the server logs what becomes of the suggestions that you see: when they appear, how long they are, which you take, type over or dismiss, and how much of them stays. It logs numbers, and no text.'
      );
  return [
    holds,
    trans.__('No name and no path is in the log, and it is sent nowhere.'),
    file ? trans.__('It is in %1, where only the owner of this server can read it.', file) : '',
    trouble ? trans.__('At the moment it cannot be written: %1.', trouble) : '',
    trans.__(
      'c.Turbopilot.study_log in the server’s configuration switches it on and off; “jupyter turbopilot study clear” deletes it.'
    )
  ]
    .filter(Boolean)
    .join(' ');
}
