import { beforeEach, describe, expect, it, vi } from 'vitest';
import type { IEditRequest } from '../wire';
import { EditOffers } from './editoffers';
import { openNotebook, partsOf } from './testing/notebook';
import { FakeOffer } from './testing/offer';

vi.mock('../document', () => ({ languageOfNotebook: () => 'python' }));
vi.mock('@jupyterlab/notebook', () => ({}));
vi.mock('./offer', async () => ({
  Offer: (await import('./testing/offer')).FakeOffer,
  isInView: () => true
}));

describe('EditOffers', () => {
  const SOURCES = ['f(a)', 'f(b)'];
  const FOUND = [{ cell: 0, start: 0, end: 1, old: 'f', text: 'long' }];
  let edits: ReturnType<typeof partsOf>['edits'];
  let sent: string[];
  let requests: string[];
  let renames: typeof FOUND;

  beforeEach(() => {
    FakeOffer.shown.splice(0);
    [sent, requests, renames] = [[], [], []];
    const client = {
      rename: (_: IEditRequest, signal: AbortSignal) => {
        requests.push('rename');
        return Promise.resolve(signal.aborted ? null : { id: 'rename', title: '', edits: renames, run: [] });
      },
      repeat: () => {
        requests.push('repeat');
        return Promise.resolve({ id: 'repeat', title: '', edits: FOUND });
      }
    };
    const { parts, ...others } = partsOf(client, sent, []);
    ({ edits } = others);
    new EditOffers(parts);
  });

  const finished = () => new Promise(resolve => setTimeout(resolve));

  /** Let the user change the second cell of a new notebook. */
  function settled() {
    const { notebook, panel } = openNotebook(SOURCES);
    const [, cell] = panel.content.widgets;
    notebook.cells[1].updateSource(0, 1, 'long');
    edits.settled.emit({ panel, cell, before: SOURCES[1], settled: SOURCES[1] });
    return panel;
  }

  it('offers to repeat the edit unless a rename is offered', async () => {
    settled();
    await finished();
    expect(requests).toEqual(['rename', 'repeat']);
    expect(sent).toEqual(['repeat shown']);
    renames = FOUND;
    settled();
    await finished();
    expect(requests).toEqual(['rename', 'repeat', 'rename']);
    expect(sent).toEqual(['repeat shown', 'rename shown']);
  });

  it.each([[[]], [FOUND]])('shows nothing if the user has continued to type', async found => {
    renames = found;
    const panel = settled();
    edits.edited.emit({ panel, isOffered: false });
    await finished();
    expect(requests).toEqual(['rename']);
    expect(FakeOffer.shown).toEqual([]);
  });

  it('cancels the request of a notebook after an edit there, and after no other', async () => {
    const panel = settled();
    const other = openNotebook(SOURCES).panel;
    edits.edited.emit({ panel: other, isOffered: false });
    const second = settled();
    edits.edited.emit({ panel, isOffered: false });
    await finished();
    expect(FakeOffer.shown.map(offer => offer.panel)).toEqual([second]);
  });
});
