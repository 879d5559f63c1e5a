import { nullTranslator } from '@jupyterlab/translation';
import { describe, expect, it, vi } from 'vitest';
import { Availability } from './availability';
import { describeWeek, learnedDialog } from './learned';
import type { Notice } from './notice';
import type { IHealth } from './wire';

interface IShown {
  title: string;
  body: string;
}

const shown = vi.hoisted(() => [] as IShown[]);
const accept = vi.hoisted(() => ({ yes: true }));

vi.mock('@jupyterlab/apputils', () => ({
  Dialog: { cancelButton: () => ({}), warnButton: () => ({}) },
  Notification: {},
  showDialog: (dialog: IShown) => {
    shown.push(dialog);
    return Promise.resolve({ button: { accept: accept.yes } });
  }
}));

describe('the dialog about what was learned', () => {
  async function asked(yes: boolean) {
    accept.yes = yes;
    shown.length = 0;
    const health = { ready: true, week: { shown: 100, taken: 62 } } as IHealth;
    const availability = new Availability(() => Promise.resolve(health));
    const forget = vi.fn(() => Promise.resolve());
    const brief = vi.fn();
    const notice = { brief } as unknown as Notice;
    await learnedDialog({ forget }, availability, notice, nullTranslator.load(''))();
    availability.dispose();
    return { forget, brief };
  }

  it('says what is forgotten, what stays, and that suggestions then appear as at first', async () => {
    const { forget, brief } = await asked(true);
    const [{ title, body }] = shown;
    expect(title).toBe('What Turbopilot Has Learned');
    expect(body).toContain('you took 62');
    expect(body).toContain(
      'Reset forgets all of it, for every model and setting, and this week’s counts with it'
    );
    expect(body).toContain('suggestions then appear as with a new installation');
    expect(body).toContain('the index of your notebooks stay as they are');
    expect(forget).toHaveBeenCalledOnce();
    expect(brief).toHaveBeenCalledWith('Turbopilot has forgotten what it learned.');
  });

  it('has nothing forgotten where the person cancels', async () => {
    expect((await asked(false)).forget).not.toHaveBeenCalled();
  });
});

const trans = nullTranslator.load('jupyter-turbopilot');

it('tells how many suggestions were taken this week', () => {
  expect(describeWeek(trans, { shown: 100, taken: 62 })).toBe('Suggestions Taken This Week: 62 of 100…');
});

it('tells that there were none', () => {
  expect(describeWeek(trans, { shown: 0, taken: 0 })).toBe('Suggestions Taken This Week: None Yet…');
  expect(describeWeek(trans, null)).toBe('Suggestions Taken This Week: None Yet…');
});
