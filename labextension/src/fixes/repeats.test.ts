import { beforeEach, describe, expect, it, vi } from 'vitest';
import { createRelativePositionFromTypeIndex } from 'yjs';
import { DEFAULTS } from '../settings';
import type { IRepeatRequest } from '../wire';
import { EditOffers } from './editoffers';
import { openNotebook, partsOf } from './testing/notebook';
import { FakeOffer } from './testing/offer';

vi.mock('../document', () => ({ languageOfNotebook: () => 'python' }));
vi.mock('@jupyterlab/notebook', () => ({}));

let isVisible = true;
vi.mock('./offer', async () => ({
  Offer: (await import('./testing/offer')).FakeOffer,
  isInView: () => isVisible
}));

describe('offerRepeats', () => {
  const SOURCES = ['f(a)\nf(b)', 'f(c)', '# last\nf(d)', 'f(e)'];
  let notebook: ReturnType<typeof openNotebook>['notebook'];
  let panel: ReturnType<typeof openNotebook>['panel'];
  let kernel: ReturnType<typeof openNotebook>['kernel'];
  let edits: ReturnType<typeof partsOf>['edits'];
  let fakes: ReturnType<typeof partsOf>['fakes'];
  let requests: IRepeatRequest[];
  let sent: string[];
  let log: string[];
  let occurrences: [number, number][];
  let meanwhile: () => void;

  beforeEach(() => {
    vi.useFakeTimers();
    FakeOffer.shown.splice(0);
    [requests, sent, log] = [[], [], []];
    isVisible = true;
    meanwhile = () => undefined;
    occurrences = [
      [0, 5],
      [1, 0],
      [2, 7],
      [3, 0]
    ];
    ({ notebook, panel, kernel } = openNotebook(SOURCES, log));
    const repeat = (request: IRepeatRequest) => {
      requests.push(request);
      meanwhile();
      const found = occurrences.map(([cell, start]) => ({
        cell,
        start,
        end: start + 1,
        old: 'f',
        text: 'long'
      }));
      return Promise.resolve({ id: `repeat-${requests.length}`, title: '', edits: found });
    };
    const { parts, ...others } = partsOf({ repeat, rename: () => Promise.resolve(null) }, sent, log);
    ({ edits, fakes } = others);
    new EditOffers(parts);
  });

  const sources = () => notebook.cells.map(cell => cell.getSource());
  const shown = () => FakeOffer.shown.at(-1);

  /** Let the user change a cell from `before` to its present source. */
  async function settle(index: number, before: string, within = panel) {
    edits.settled.emit({ panel: within, cell: within.content.widgets[index], before, settled: before });
    await vi.advanceTimersByTimeAsync(0);
  }

  /** Make two edits alike: in the first line of the first cell, and in the last cell. */
  async function repeated(first = 0) {
    kernel.connectionStatus = 'disconnected';
    occurrences[0][1] = 8;
    occurrences = occurrences.slice(first, 3);
    notebook.cells[3].updateSource(0, 1, 'long');
    await settle(3, 'f(e)');
    notebook.cells[0].updateSource(0, 1, 'long');
    await settle(0, SOURCES[0]);
    kernel.connectionStatus = 'connected';
  }

  it('asks after the second edit of a kind, with both', async () => {
    await repeated();
    expect(requests).toHaveLength(1);
    const [{ active, before, earlier, cells, kernel_id }] = requests;
    expect([active, before, kernel_id]).toEqual([0, SOURCES[0], 'kernel']);
    expect(earlier).toEqual({ cell: 3, before: 'f(e)', after: 'long(e)' });
    expect(cells.map(({ source }) => source)).toEqual(sources());
    expect(sent).toEqual(['repeat-1 shown']);
    expect(log).toEqual(['Change 3 more occurrences? Press Alt+. to apply.']);
  });

  it('asks after the first if the old text occurs elsewhere and there is a kernel', async () => {
    notebook.cells[1].updateSource(0, 1, 'long');
    await settle(1, 'f(c)');
    expect(requests.map(({ earlier }) => earlier)).toEqual([null]);
    notebook.cells[2].updateSource(2, 6, 'first');
    await settle(2, '# end\nf(d)');
    expect(requests).toHaveLength(1);
  });

  it.each<[string, () => void]>([
    ['the setting is off', () => (fakes.preferences.current = { ...DEFAULTS, suggestRepeats: false })],
    ['the server does not offer it', () => (fakes.availability.state.health = { fixes: false })],
    ['there is no kernel and no earlier edit', () => (kernel.connectionStatus = 'disconnected')]
  ])('does not ask if %s', async (_, change) => {
    change();
    notebook.cells[1].updateSource(0, 1, 'long');
    await settle(1, 'f(c)');
    expect(requests).toEqual([]);
  });

  it('shows nothing if the user has continued to type during the request', async () => {
    meanwhile = () => edits.edited.emit({ panel, isOffered: false });
    await repeated();
    expect(requests).toHaveLength(1);
    expect(FakeOffer.shown).toEqual([]);
  });

  it('omits the occurrences in a cell that has changed since the request', async () => {
    meanwhile = () => notebook.cells[1].updateSource(0, 0, 'f(z); '); // another user
    await repeated(1);
    expect(shown()?.content?.question).toBe('Change 1 more occurrence?');
  });

  it('goes from occurrence to occurrence', async () => {
    await repeated();
    const content = () => shown()?.content;
    expect(content()?.changes.map(({ label }) => label)).toEqual(['', 'Cell 2', 'Cell 3']);
    expect(content()?.actions.map(({ label }) => label)).toEqual(['Apply', 'Apply All']);
    shown()?.primary?.();
    await vi.advanceTimersByTimeAsync(0);
    expect(sources()).toEqual(['long(a)\nlong(b)', 'f(c)', '# last\nf(d)', 'long(e)']);
    expect(content()?.question).toBe('Change 2 more occurrences?');
    shown()?.primary?.();
    await vi.advanceTimersByTimeAsync(0);
    expect(panel.content.activeCellIndex).toBe(1);
    expect(shown()?.cell).toBe(panel.content.widgets[1]);
    expect(shown()?.revealed).toBe(2); // before and after the cursor has moved
    expect(content()?.actions.map(({ label }) => label)).toEqual(['Apply']);
    expect(FakeOffer.shown).toHaveLength(1);
    shown()?.primary?.();
    await vi.advanceTimersByTimeAsync(0);
    expect(sources()).toEqual(['long(a)\nlong(b)', 'long(c)', '# last\nlong(d)', 'long(e)']);
    expect(FakeOffer.shown).toEqual([]);
    expect(sent).toEqual(['repeat-1 shown', 'repeat-1 applied']);
    expect(log.filter(text => text.startsWith('cursor'))).toEqual([
      'cursor 9',
      'cursor 12',
      'cursor 1',
      'cursor 4',
      'cursor 8',
      'cursor 11'
    ]);
  });

  it('applies all as one undo step, and withdraws the offer when it is undone', async () => {
    await repeated();
    const before = sources();
    shown()?.all?.();
    expect(sources()).toEqual(['long(a)\nlong(b)', 'long(c)', '# last\nlong(d)', 'long(e)']);
    expect(shown()?.content?.question).toBe('Changed 3 occurrences.');
    notebook.cells[2].undo();
    await vi.advanceTimersByTimeAsync(0);
    expect(sources()).toEqual(before);
    expect(FakeOffer.shown).toEqual([]);
    expect(fakes.edits.reset).toHaveBeenCalledOnce();
    expect(sent).toEqual(['repeat-1 shown', 'repeat-1 applied', 'repeat-1 undone']);
    notebook.cells[1].updateSource(0, 1, 'long');
    await settle(1, 'f(c)');
    expect(requests).toHaveLength(1);
  });

  it('keeps the report with its button when the own edit is undone', async () => {
    await repeated();
    shown()?.all?.();
    edits.undone.emit({ panel, cell: panel.content.widgets[0] });
    expect(shown()?.content?.question).toBe('Changed 3 occurrences.');
  });

  /** Repeat the edits in cell 1 and three times in cell 2, one by one or all. */
  async function apply(steps: ('primary' | 'all')[]) {
    notebook.cells[2].setSource('fff');
    meanwhile = () => {
      occurrences = [
        [1, 0],
        [2, 0],
        [2, 1],
        [2, 2]
      ];
    };
    await repeated();
    for (const step of steps) {
      shown()?.[step]?.();
      await vi.advanceTimersByTimeAsync(0);
    }
  }

  it.each<[string, ('primary' | 'all')[], number, string[]]>([
    ['all, in the cell of the own edit', ['all'], 0, ['long(a) f(c) fff', 'f(a) f(c) fff']],
    [
      'one by one and all, in the cell of the own edit',
      ['primary', 'primary', 'all'],
      0,
      ['long(a) long(c) longff', 'long(a) long(c) fff', 'long(a) f(c) fff', 'f(a) f(c) fff']
    ],
    [
      'one and all, in the cell of the offer',
      ['primary', 'all'],
      1,
      ['long(a) long(c) fff', 'long(a) f(c) fff']
    ],
    ['one by one, in a changed cell', ['primary', 'primary'], 1, ['long(a) f(c) longff']]
  ])('undoes what was applied, then the own edit: %s', async (_, steps, cell, expected) => {
    await apply(steps);
    for (const texts of expected) {
      notebook.cells[cell].undo();
      await vi.advanceTimersByTimeAsync(0);
      const [first, second, third] = sources();
      expect([first.split('\n')[0], second, third].join(' ')).toBe(texts);
    }
    expect(sent.at(-1)).toBe('repeat-1 undone');
  });

  it('keeps the report when an earlier application is undone, until one of its cells is edited', async () => {
    await apply(['primary', 'primary', 'all']);
    notebook.cells[1].undo();
    await vi.advanceTimersByTimeAsync(0);
    expect(shown()?.content?.question).toBe('Changed 2 occurrences.');
    expect(sent.at(-1)).toBe('repeat-1 undone');
    notebook.cells[2].updateSource(0, 0, '#');
    expect(FakeOffer.shown).toEqual([]);
  });

  it('is not offered again after it was dismissed', async () => {
    await repeated();
    shown()?.dismiss();
    expect(sent.at(-1)).toBe('repeat-1 dismissed');
    notebook.cells[1].updateSource(0, 1, 'long');
    await settle(1, 'f(c)');
    expect(requests).toHaveLength(1);
  });

  it('names the cell of an occurrence that is not visible', async () => {
    isVisible = false;
    await repeated(1);
    expect(shown()?.content?.question).toBe('Change 2 more occurrences, next in “f(c)”?');
    shown()?.dispose();
    panel.content.widgets[1].model.executionCount = 14;
    occurrences = [[1, 0]];
    notebook.cells[2].updateSource(7, 8, 'long');
    await settle(2, SOURCES[2]);
    expect(shown()?.content?.question).toBe('Change 1 more occurrence, in cell [14]?');
  });

  it('keeps the occurrences that are not edited, and ends without any', async () => {
    await repeated();
    notebook.cells[1].setSource('else');
    expect(shown()?.content?.question).toBe('Change 2 more occurrences?');
    notebook.deleteCell(2);
    notebook.cells[0].setSource('else');
    expect(FakeOffer.shown).toEqual([]);
    expect(sent).toEqual(['repeat-1 shown']);
  });

  it.each<[string, number, number, number, string]>([
    ['continued', 0, 4, 4, 'er'],
    ['continued at its beginning', 0, 0, 0, 'x'],
    ['changed', 0, 1, 3, ''],
    ['reverted in the earlier place', 3, 0, 4, 'f']
  ])('ends when an example is %s', async (_, cell, start, end, text) => {
    await repeated();
    notebook.cells[cell].updateSource(start, end, text);
    expect(FakeOffer.shown).toEqual([]);
    expect(sent).toEqual(['repeat-1 shown']);
  });

  it('keeps the offer when other text of an example is edited, in the same cell after an earlier example', async () => {
    kernel.connectionStatus = 'disconnected';
    occurrences = [
      [1, 0],
      [2, 7]
    ];
    notebook.cells[0].updateSource(5, 6, 'long');
    await settle(0, SOURCES[0]);
    const before = notebook.cells[0].getSource();
    notebook.cells[0].updateSource(0, 1, 'long');
    await settle(0, before);
    notebook.cells[0].updateSource(5, 6, 'b, c');
    notebook.cells[0].updateSource(0, 0, '# first\n');
    expect(shown()?.content?.question).toBe('Change 2 more occurrences?');
    notebook.cells[0].updateSource(notebook.cells[0].getSource().lastIndexOf('long'), 25, 'f');
    expect(FakeOffer.shown).toEqual([]);
  });

  it('changes a single occurrence with the shortcut for all', async () => {
    await repeated(2);
    shown()?.all?.();
    expect(sources()).toEqual(['long(a)\nf(b)', 'f(c)', '# last\nlong(d)', 'long(e)']);
  });

  it('leaves a cell alone that has become read-only, or that another user edits', async () => {
    await repeated();
    panel.content.widgets[0].readOnly = true;
    shown()?.primary?.();
    const text = 'Not changed, because read-only or edited by another user: ';
    expect(log).toContain(`${text}Cell 1.`);
    expect(sources()).toEqual(['long(a)\nf(b)', 'long(c)', '# last\nf(d)', 'long(e)']);
    const anchor = createRelativePositionFromTypeIndex(notebook.cells[2].ysource, 0);
    notebook.awareness.states.set(1, { cursors: [{ anchor }] });
    shown()?.primary?.();
    expect(log).toContain(`${text}Cell 3.`);
    expect(sources()[2]).toBe('# last\nf(d)');
    expect(FakeOffer.shown).toEqual([]);
  });

  it('keeps the offer of another notebook', async () => {
    await repeated();
    const { notebook, panel: other } = openNotebook(SOURCES);
    notebook.cells[1].updateSource(0, 1, 'long');
    await settle(1, 'f(c)', other);
    expect(FakeOffer.shown).toHaveLength(2);
    edits.undone.emit({ panel: other, cell: other.content.widgets[1] });
    expect(FakeOffer.shown.map(offer => offer.panel)).toEqual([panel]);
  });

  it('names no fix if it cannot be applied', async () => {
    await repeated();
    vi.spyOn(notebook.cells[0], 'getSource').mockReturnValue('');
    shown()?.primary?.();
    expect(shown()?.failure).toBe('The code has changed since. Nothing was applied.');
  });

  it('ends after five minutes, and when the edit is undone', async () => {
    await repeated();
    vi.advanceTimersByTime(5 * 60_000);
    expect(FakeOffer.shown).toEqual([]);
    notebook.cells[1].updateSource(0, 1, 'long');
    await settle(1, 'f(c)');
    edits.undone.emit({ panel, cell: panel.content.widgets[1] });
    expect(FakeOffer.shown).toEqual([]);
    expect(requests).toHaveLength(2);
  });
});
