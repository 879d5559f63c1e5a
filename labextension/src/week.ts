/** What became of the week's suggestions, in words. */

import type { TranslationBundle } from '@jupyterlab/translation';
import type { IWeek } from './wire';

/** How many suggestions were taken, as a line of a menu. */
export function describeWeek(trans: TranslationBundle, week: IWeek | null): string {
  return week?.shown
    ? trans.__('Suggestions Taken This Week: %1 of %2…', week.taken, week.shown)
    : trans.__('Suggestions Taken This Week: None Yet…');
}
