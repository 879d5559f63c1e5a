import { nullTranslator } from '@jupyterlab/translation';
import { describe, expect, it } from 'vitest';
import type { Availability } from './availability';
import type { IClient } from './client';
import { describeStep, downloadLabel, Downloads } from './downloads';
import { ServerError } from './requesterror';
import type { IProgress } from './wire';

const trans = nullTranslator.load('jupyter_turbopilot');
const MODEL = { name: 'small', spec: 'owner/small' };

/** Downloads whose server answers each request with the next of these. */
function bench(...answers: (Error | IProgress)[]) {
  const asked: unknown[][] = [];
  let checks = 0;
  const client = {
    pull: (spec: string, mirrors: boolean, step: (step: IProgress) => void, select: boolean) => {
      asked.push([spec, mirrors, select]);
      const answer = answers.shift();
      if (answer instanceof Error) {
        return Promise.reject(answer);
      }
      if (answer) {
        step(answer);
      }
      return Promise.resolve();
    }
  } as unknown as IClient;
  const availability = { check: () => Promise.resolve(checks++) } as unknown as Availability;
  return { downloads: new Downloads(client, availability, trans), asked, checks: () => checks };
}

describe('Downloads', () => {
  it('reports progress and completion, then checks the health', async () => {
    const step = { phase: 'downloading', received: 1, total: 2 };
    const { downloads, asked, checks } = bench(step);
    const steps: IProgress[] = [];
    const outcome = await downloads.start(MODEL, {
      mirrors: true,
      select: false,
      progress: one => steps.push(one)
    });
    expect([outcome, steps, asked]).toEqual([{ kind: 'stored' }, [step], [['owner/small', true, false]]]);
    expect(checks()).toBe(1);
  });

  it('keeps the error until the next download begins', async () => {
    const { downloads, checks } = bench(new ServerError(500, 'download_failed', 'No space.'));
    const outcome = await downloads.start(MODEL, { mirrors: false, select: true });
    expect(outcome).toEqual({ kind: 'failed', message: 'No space.', code: 'download_failed' });
    expect([downloads.failureOf('small'), checks()]).toEqual(['No space.', 1]);
    await downloads.start(MODEL, { mirrors: false, select: true });
    expect(downloads.failureOf('small')).toBeUndefined();
  });

  it('does not report a stopped download as failed', async () => {
    const { downloads } = bench(new ServerError(500, 'cancelled', 'Stopped.'));
    const outcome = await downloads.start(MODEL, { mirrors: false, select: true });
    expect([outcome, downloads.failureOf('small')]).toEqual([
      { kind: 'stopped', message: 'Stopped.' },
      undefined
    ]);
  });

  it.each([
    [{ phase: 'waiting' }, 'Downloading small…'],
    [{ phase: 'downloading', received: 1e6 }, 'Downloading small: 1 MB'],
    [{ phase: 'downloading', received: 1e6, total: 3e6 }, 'Downloading small: 1 MB of 3 MB'],
    [{ phase: 'verifying', received: 3e6, total: 3e6 }, 'Verifying the checksum of small…']
  ])('describes the step %j', (step, words) => {
    expect(describeStep(trans, 'small', step)).toBe(words);
  });
});

describe('downloadLabel', () => {
  it.each([
    ['Download', {}],
    ['Download Again', { damaged: true }],
    ['Download and Convert', { checkpoint: 'owner/repository', damaged: true }],
    ['Download From Mirror', { mirror_only: true, damaged: true }]
  ])('returns “%s”', (label, model) => {
    expect(downloadLabel(nullTranslator.load('x'), model)).toBe(label);
  });
});
