import { nullTranslator } from '@jupyterlab/translation';
import { describe, expect, it } from 'vitest';
import { describeStudy, explainStudy } from './study';

const trans = nullTranslator.load('jupyter_turbopilot');
const STUDY = { text: false, file: '/home/ada/study.jsonl', trouble: null };

describe('a study log', () => {
  it('is announced with whether it holds text, and whether it can be written', () => {
    expect(describeStudy(trans, null)).toBe('No Study Log Is Kept');
    expect(describeStudy(trans, STUDY)).toBe('A Study Log Is On…');
    expect(describeStudy(trans, { ...STUDY, text: true })).toContain('With the Text');
    expect(describeStudy(trans, { ...STUDY, trouble: 'it is a link' })).toContain('Cannot Be Written');
  });

  it('is explained: what it holds, where it is, how it ends', () => {
    const words = explainStudy(trans, STUDY);
    for (const part of ['no text', '/home/ada/study.jsonl', 'sent nowhere', 'c.Turbopilot.study_log']) {
      expect(words).toContain(part);
    }
    expect(words).not.toContain('cannot be written');
    const other = explainStudy(trans, { text: true, file: null, trouble: 'it is a link' });
    expect(other).toContain('their text');
    expect(other).toContain('cannot be written: it is a link.');
    expect(other).not.toContain('It is in');
  });
});
