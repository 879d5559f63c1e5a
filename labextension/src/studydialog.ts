/** What a study log holds, shown to whoever is logged. */

import { Dialog, showDialog } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { Availability } from './availability';
import { explainStudy } from './study';

/** Return a function that shows that. */
export function studyDialog(availability: Availability, trans: TranslationBundle): () => Promise<void> {
  return async () => {
    await availability.check();
    const study = availability.state.health?.study;
    if (study) {
      await showDialog({
        title: trans.__('Study Log'),
        body: explainStudy(trans, study),
        buttons: [Dialog.okButton()]
      });
    }
  };
}
