import { nullTranslator } from '@jupyterlab/translation';
import { expect, it, vi } from 'vitest';

vi.mock('@jupyterlab/apputils', () => ({ Dialog: {}, Notification: {}, showDialog: {} }));

import { describeWeek } from './learned';

const trans = nullTranslator.load('jupyter-turbopilot');

it('tells how many suggestions were taken this week', () => {
  expect(describeWeek(trans, { shown: 100, taken: 62 })).toBe('Suggestions Taken This Week: 62 of 100…');
});

it('tells that there were none', () => {
  expect(describeWeek(trans, { shown: 0, taken: 0 })).toBe('Suggestions Taken This Week: None Yet…');
  expect(describeWeek(trans, null)).toBe('Suggestions Taken This Week: None Yet…');
});
