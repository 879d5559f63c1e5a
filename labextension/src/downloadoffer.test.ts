import type { Notification } from '@jupyterlab/apputils';
import { nullTranslator } from '@jupyterlab/translation';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

interface IShown {
  type: string;
  message: string;
  actions: Notification.IAction[];
}

const shown = vi.hoisted(() => [] as IShown[]);

vi.mock('@jupyterlab/apputils', () => {
  const emit = (message: string, type: string, options: Partial<IShown>) => {
    shown.push({ message, type, actions: [], ...options });
    return String(shown.length - 1);
  };
  return {
    Notification: {
      emit,
      info: (message: string, options: Partial<IShown>) => emit(message, 'info', options),
      error: (message: string) => emit(message, 'error', {}),
      dismiss: (id: string) => Object.assign(shown[Number(id)], { type: 'dismissed' }),
      update: ({ id, ...change }: Partial<IShown> & { id: string }) =>
        Object.assign(shown[Number(id)], change)
    }
  };
});

import type { IState } from './availability';
import type { IClient } from './client';
import type { Downloads, IOptions, Outcome } from './downloads';
import { DownloadOffer } from './downloadoffer';
import { ResponseError } from './requesterror';
import type { IModel } from './wire';

const MODEL = { name: 'small', spec: 'owner/small', size: 5e8, licence: 'MIT', mirror: true } as IModel;

/** An offer whose downloads end with these outcomes; further ones do not end. */
function bench(models: IModel[], ...outcomes: Outcome[]) {
  const started: boolean[] = [];
  const state = { reachable: true, phase: 'ready' };
  const availability = {
    check: () => {
      loading.push(...shown.map(({ message }) => message));
      return Promise.resolve();
    },
    loaded: () => Promise.resolve({ health: { phase: state.phase } } as IState)
  };
  const loading: string[] = [];
  const client = {
    models: () => (state.reachable ? Promise.resolve(models) : Promise.reject(new Error('gone'))),
    stopPull: () => Promise.reject(new ResponseError('unreachable'))
  } as unknown as IClient;
  const downloads = {
    start: (_: unknown, { mirrors, progress }: IOptions) => {
      started.push(mirrors);
      progress?.({ phase: 'downloading', received: 1e6, total: 2e6 });
      const outcome = outcomes.shift();
      return outcome ? Promise.resolve(outcome) : new Promise(() => undefined);
    }
  } as unknown as Downloads;
  return {
    offer: new DownloadOffer(client, downloads, availability, nullTranslator.load('x')),
    started,
    state,
    loading
  };
}

async function press(notification: IShown, label: string): Promise<void> {
  notification.actions.find(action => action.label === label)?.callback(new Event('click') as MouseEvent);
  await new Promise(resolve => setTimeout(resolve, 0));
}

const labels = ({ actions }: IShown) => actions.map(({ label }) => label);

describe('DownloadOffer', () => {
  const bar = { setProperty: vi.fn(), removeProperty: vi.fn() };

  beforeEach(() => {
    shown.length = 0;
    vi.stubGlobal('document', { getElementById: () => ({ style: bar }) });
  });

  afterEach(() => void vi.unstubAllGlobals());

  it('offers a missing model once, with size and licence', async () => {
    const { offer } = bench([MODEL]);
    await offer.offer('small');
    await offer.offer('small');
    expect(shown).toHaveLength(1);
    expect(shown[0].message).toContain('(500 MB, MIT)');
    expect(labels(shown[0])).toEqual(['Download', 'Not Now']);
  });

  it('offers a model again that is damaged later', async () => {
    const { offer } = bench([MODEL]);
    await offer.offer('small');
    await offer.offer('small', 'model_damaged');
    await offer.offer('small', 'model_damaged');
    expect(shown).toHaveLength(2);
  });

  it('retries if the list of models is not available', async () => {
    const { offer, state } = bench([]);
    state.reachable = false;
    await offer.offer('own.gguf');
    expect(shown).toEqual([]);
    state.reachable = true;
    await offer.offer('own.gguf');
    expect(shown[0].message).toContain('size unknown, licence unknown');
  });

  it('shows a running download instead', async () => {
    const { offer, started } = bench([{ ...MODEL, pulling: true }], { kind: 'stored' });
    await offer.offer('small');
    expect([started, shown.map(({ type }) => type)]).toEqual([[false], ['success']]);
  });

  it.each([
    ['ready', 'success', 'small is ready. Start typing.'],
    ['failed', 'dismissed', 'Loading small…']
  ])('shows that the model loads until it is %s', async (phase, type, message) => {
    const { offer, state, loading } = bench([{ ...MODEL, pulling: true }], { kind: 'stored' });
    state.phase = phase;
    await offer.offer('small');
    expect(bar.setProperty).toHaveBeenCalledWith('--jp-Turbopilot-progress', '0.5');
    expect(bar.removeProperty).toHaveBeenCalled();
    expect(loading).toEqual(['Loading small…']);
    expect([shown[0].type, shown[0].message]).toEqual([type, message]);
  });

  it('offers the mirror only after the download failed', async () => {
    const failed: Outcome = { kind: 'failed', message: 'No.', code: 'download_failed' };
    const { offer, started } = bench([MODEL], failed, failed, { kind: 'stored' });
    await offer.offer('small');
    await press(shown[0], 'Download');
    expect([shown[1].message, labels(shown[1])]).toEqual(['No.', ['Use Mirror', 'Try Again']]);
    await press(shown[1], 'Use Mirror');
    expect(labels(shown[2])).toEqual(['Try Again']);
    await press(shown[2], 'Try Again');
    expect([shown[3].type, started]).toEqual(['success', [false, true, true]]);
  });

  it('offers the mirror of a model that has no other source', async () => {
    const { offer, started } = bench([{ ...MODEL, mirror_only: true }], { kind: 'stored' });
    await offer.offer('small');
    expect(labels(shown[0])).toEqual(['Download From Mirror', 'Not Now']);
    await press(shown[0], 'Download From Mirror');
    expect(started).toEqual([true]);
  });

  it('reports that a download cannot be stopped', async () => {
    const { offer } = bench([{ ...MODEL, pulling: true }]);
    void offer.offer('small');
    await vi.waitFor(() => expect(shown).toHaveLength(1));
    await press(shown[0], 'Stop');
    expect([shown[1].type, shown[1].message]).toEqual(['error', 'Turbopilot: The server cannot be reached.']);
  });

  it('offers the download again after it was stopped', async () => {
    const stopped: Outcome = { kind: 'stopped', message: 'Stopped.' };
    const { offer, started } = bench([{ ...MODEL, pulling: true }], stopped, { kind: 'stored' });
    await offer.offer('small');
    await press(shown[0], 'Download');
    expect([shown[1].type, started]).toEqual(['success', [false, false]]);
  });

  it('reports a damaged file', async () => {
    const { offer } = bench([{ ...MODEL, damaged: true }]);
    await offer.offer('small');
    expect(shown[0].message).toContain('Turbopilot: small is damaged.');
    expect(labels(shown[0])).toEqual(['Download Again', 'Not Now']);
  });

  it.each([
    ['a stop', { kind: 'stopped', message: 'Stopped.' }, 'default', ['Download']],
    ['a full disk', { kind: 'failed', message: 'Full.', code: 'disk' }, 'error', ['Try Again']]
  ] as const)('after %s offers what helps', async (_, outcome, type, actions) => {
    const { offer } = bench([{ ...MODEL, pulling: true }], outcome);
    await offer.offer('small');
    expect([shown[0].type, labels(shown[0])]).toEqual([type, actions]);
  });
});
