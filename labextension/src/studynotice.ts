/** A notification that a study log is kept, where no status item says so: one cannot be hidden without the other. */

import { Notification } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { Availability } from './availability';

/** Tell the person once in each page, as soon as a log is kept and `isShown` says that nothing else shows it. */
export function tellOfStudy(
  availability: Availability,
  trans: TranslationBundle,
  isShown: () => boolean,
  showMore: () => unknown
): void {
  const tell = (): void => {
    if (!availability.state.health?.study || isShown()) {
      return;
    }
    availability.changed.disconnect(tell);
    Notification.info(trans.__('Turbopilot keeps a log of your suggestions for a study.'), {
      autoClose: false,
      actions: [
        { label: trans.__('OK'), callback: () => undefined },
        { label: trans.__('More…'), callback: () => void showMore() }
      ]
    });
  };
  availability.changed.connect(tell);
}
