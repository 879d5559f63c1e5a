/** Notifications about the server's health: one warning while it cannot be asked, the model that is missing. */

import type { TranslationBundle } from '@jupyterlab/translation';
import type { Availability } from './availability';
import type { Notice } from './notice';
import type { DownloadOffer } from './offer';
import { WITHHELD } from './trouble';
import { describeTrouble } from './words';

/** A trouble that is over after so many failures is not worth a notification; that a server is busy never is. */
const WORTH_TELLING = 2;

/** Notify the person of what goes wrong from now on. */
export function notifyOfHealth(
  availability: Availability,
  notice: Notice,
  offer: DownloadOffer,
  trans: TranslationBundle,
  completeHere: () => unknown
): void {
  availability.changed.connect((_, { now: { failures, health, trouble } }) => {
    if (failures === 0) {
      notice.forget();
    } else if (!trouble) {
      notice.clear();
    } else if (health?.code === 'model_missing' || health?.code === 'model_damaged') {
      void offer.offer(health.model, health.code);
    } else if (failures >= WORTH_TELLING && health?.code !== WITHHELD && trouble.kind !== 'busy') {
      const here = { label: trans.__('Complete in the browser'), callback: () => void completeHere() };
      const lacksServer = trouble.kind === 'absent' || trouble.kind === 'serverless';
      notice.warn(`Turbopilot: ${describeTrouble(trans, trouble)}`, lacksServer ? [here] : []);
    }
  });
}
