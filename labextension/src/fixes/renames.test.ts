import { Signal } from '@lumino/signaling';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import type { IRenameRequest } from '../wire';
import { EditOffers } from './editoffers';
import { executionsOf } from './notebook';
import { openNotebook, partsOf } from './testing/notebook';
import { FakeOffer } from './testing/offer';

vi.mock('../document', () => ({ languageOfNotebook: () => 'python' }));
const executionScheduled = new Signal<object, unknown>({});
const runCells = vi.fn();
vi.mock('@jupyterlab/notebook', () => ({
  NotebookActions: {
    executionScheduled: {
      connect: (slot: never) => executionScheduled.connect(slot),
      disconnect: (slot: never) => executionScheduled.disconnect(slot)
    },
    runCells: (...passed: unknown[]) => void runCells(...passed)
  }
}));
const scrolled = vi.hoisted((): unknown[] => []);
vi.mock('./offer', async () => ({
  Offer: (await import('./testing/offer')).FakeOffer,
  scrollTo: (_: unknown, cell: unknown) => scrolled.push(cell)
}));

describe('offerRename', () => {
  const SOURCES = ['rate = 1', 'print(rate)'];
  let edits: ReturnType<typeof partsOf>['edits'];
  let requests: IRenameRequest[];
  let sent: string[];
  let followed: object;
  let run: number[];

  beforeEach(() => {
    FakeOffer.shown.splice(0);
    scrolled.splice(0);
    [requests, sent, run] = [[], [], []];
    const rename = (request: IRenameRequest) => {
      requests.push(request);
      const found = [{ cell: 1, start: 6, end: 10, old: 'rate', text: 'rate_eur' }];
      return Promise.resolve({ id: `rename-${requests.length}`, title: 'Rename?', edits: found, run });
    };
    const { parts, ...others } = partsOf({ rename }, sent, []);
    ({ edits } = others);
    new EditOffers(parts);
  });

  /** Rename the variable where it is assigned. */
  async function renamed() {
    const { notebook, panel } = openNotebook(SOURCES);
    const [cell] = panel.content.widgets;
    const executions = executionsOf(panel.content.model as never);
    executions.scheduled(cell.model);
    cell.model.executionCount = 1;
    executions.executed(cell.model);
    notebook.cells[0].updateSource(0, 4, 'rate_eur');
    followed = { panel, cell, before: SOURCES[0], settled: SOURCES[0], leave: () => undefined };
    edits.settled.emit(followed);
    await new Promise(resolve => setTimeout(resolve));
    return { notebook, panel, sources: () => notebook.cells.map(each => each.getSource()) };
  }

  const edit = (panel: unknown, isOffered = false) => edits.edited.emit({ panel, isOffered });

  it('renames the other uses', async () => {
    const { sources } = await renamed();
    expect(requests.map(({ active, before }) => [active, before])).toEqual([[0, 'rate = 1']]);
    FakeOffer.shown[0].primary?.();
    expect(sources()).toEqual(['rate_eur = 1', 'print(rate_eur)']);
    expect(FakeOffer.shown[0].content?.question).toBe('Renamed 1 use.');
    expect(sent).toEqual(['rename-1 shown', 'rename-1 applied']);
  });

  it('scrolls to the offer, and then to its cell', async () => {
    const { panel } = await renamed();
    expect(FakeOffer.shown[0].revealed).toBe(1);
    FakeOffer.shown[0].primary?.();
    expect(scrolled).toEqual([panel.content.widgets[0]]);
  });

  it('asks to run the cell until it is run, also with the shortcut', async () => {
    run = [0];
    const { panel } = await renamed();
    FakeOffer.shown[0].primary?.();
    edit(panel);
    const [{ content, primary }] = FakeOffer.shown;
    expect(content?.question).toMatch(/Run this cell\?$/);
    expect(content?.shortcuts).toEqual(['Alt+.']);
    primary?.();
    expect(runCells).toHaveBeenCalledWith(panel.content, [panel.content.widgets[0]], panel.sessionContext);
    executionScheduled.emit({ cell: panel.content.widgets[0] });
    expect(FakeOffer.shown).toEqual([]);
  });

  it('also undoes the edit of the user, if the cell got the focus again during the request', async () => {
    const offered = renamed();
    edits.refocused.emit(followed);
    const { notebook, sources } = await offered;
    FakeOffer.shown[0].primary?.();
    notebook.cells[0].undo();
    await Promise.resolve();
    expect(sources()).toEqual(SOURCES);
  });

  it('is undone before a later change of its cell', async () => {
    const { notebook, sources } = await renamed();
    notebook.cells[0].updateSource(0, 0, '# first\n');
    FakeOffer.shown[0].primary?.();
    notebook.cells[0].undo();
    await Promise.resolve();
    expect(sources()).toEqual(['# first\nrate_eur = 1', 'print(rate)']);
  });

  it('keeps the offer of another notebook', async () => {
    const [{ panel }, { panel: other }] = [await renamed(), await renamed()];
    expect(FakeOffer.shown.map(offer => offer.panel)).toEqual([panel, other]);
    edit(other);
    expect(FakeOffer.shown.map(offer => offer.panel)).toEqual([panel]);
    edit(panel);
    expect(FakeOffer.shown).toEqual([]);
  });

  it('keeps the offer when another offer is applied', async () => {
    const { panel } = await renamed();
    edit(panel, true);
    expect(FakeOffer.shown).toHaveLength(1);
  });
});
